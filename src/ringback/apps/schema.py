"""Apps as the PowerAuth Cloud admin API shows them."""

from __future__ import annotations

from typing import Annotated

import msgspec

AppId = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f/?#]+$")]
Role = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class CreateApplication(msgspec.Struct, frozen=True):
    """POST /powerauth-cloud/admin/applications."""

    id: AppId
    roles: Annotated[list[Role], msgspec.Meta(max_length=100)] | None = None


class Application(msgspec.Struct, frozen=True, rename="camel"):
    """An app with what its developer needs; the app secret is in `mobile_sdk_config` as well."""

    id: str
    service_base_url: str
    mobile_sdk_config: str
    app_key: str
    app_secret: str
    master_server_public_key: str
    roles: list[str]
