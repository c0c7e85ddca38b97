"""Apps as the PowerAuth Cloud admin API shows them."""

from __future__ import annotations

from typing import Annotated

import msgspec

AppId = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f/?#]+$")]
VersionName = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f/?#]+$")]
Role = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class CreateApplication(msgspec.Struct, frozen=True):
    """POST /powerauth-cloud/admin/applications."""

    id: AppId
    roles: Annotated[list[Role], msgspec.Meta(max_length=100)] | None = None


class SetRoles(msgspec.Struct, frozen=True):
    """PUT /powerauth-cloud/admin/applications/{id}/roles."""

    roles: Annotated[list[Role], msgspec.Meta(max_length=100)]


class CreateVersion(msgspec.Struct, frozen=True):
    """POST /powerauth-cloud/admin/applications/{id}/versions."""

    name: VersionName


class Version(msgspec.Struct, frozen=True, rename="camel"):
    """A version of an app: what one release of the mobile app is built with."""

    name: str
    supported: bool
    app_key: str
    app_secret: str
    mobile_sdk_config: str


class VersionList(msgspec.Struct, frozen=True):
    """The versions of an app, oldest first."""

    versions: list[Version]


class ApplicationItem(msgspec.Struct, frozen=True):
    """An app in a list."""

    id: str
    roles: list[str]


class ApplicationList(msgspec.Struct, frozen=True):
    """One page of apps, by id."""

    applications: list[ApplicationItem]


class Application(msgspec.Struct, frozen=True, rename="camel"):
    """An app with what its developer needs; the app secret is in `mobile_sdk_config` as well.

    `app_key`, `app_secret` and `mobile_sdk_config` are those of the oldest supported version.
    """

    id: str
    service_base_url: str
    mobile_sdk_config: str
    app_key: str
    app_secret: str
    master_server_public_key: str
    roles: list[str]


class ApplicationWithVersions(Application, frozen=True, rename="camel"):
    """An app with all its versions; the answer that creates one has PowerAuth Cloud's shape to the letter."""

    versions: list[Version]
