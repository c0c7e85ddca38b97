"""The three faces of the HTTP API: how their routes are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from litestar import delete, get, patch, post, put
from litestar.handlers import BaseRouteHandler

from ringback.http.end_users import BASIC
from ringback.http.openapi import Decrypted, describe

Handler = Callable[..., Any]


@dataclass
class Routes:
    """A room's handlers, by listener."""

    public: list[BaseRouteHandler] = field(default_factory=list)
    internal: list[BaseRouteHandler] = field(default_factory=list)

    def __add__(self, other: Routes) -> Routes:
        return Routes([*self.public, *other.public], [*self.internal, *other.internal])


class Face:
    """Makes the handlers of one API. `role`: who may call by default; None = the handler itself decides.

    `xml`: bodies are XML instead of JSON, errors too.
    """

    def __init__(self, name: str, prefix: str, role: str | None, *, xml: bool = False) -> None:
        self.name = name
        self.prefix = prefix
        self._role = role
        self._xml = xml

    def get(self, path: str, **options: Any) -> Callable[[Handler], BaseRouteHandler]:
        """A GET; see `_make` for the options."""
        return self._make(get, path, None, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Handler], BaseRouteHandler]:
        """A DELETE; a body is ignored unless `request` is given."""
        return self._make(delete, path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Handler], BaseRouteHandler]:
        """A POST."""
        return self._make(post, path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Handler], BaseRouteHandler]:
        """A PATCH: the body is a JSON object whose fields are changed; what is absent stays (RFC 7396)."""
        return self._make(patch, path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Handler], BaseRouteHandler]:
        """A PUT."""
        return self._make(put, path, **options)

    def _make(
        self,
        method: Callable[..., Any],
        path: str,
        request: type[msgspec.Struct] | None = None,
        *,
        operation_id: str,
        tag: str = "",
        role: str | None = "default",
        status: int = 200,
        summary: str = "",
        header: Sequence[str] = (),
        optional_header: Sequence[str] = (),
        decrypted: Decrypted | None = None,
        schemes: Sequence[str] = BASIC,
        instead: str = "",
        may_conflict: bool | None = None,
        **options: Any,
    ) -> Callable[[Handler], BaseRouteHandler]:
        """Makes the handler.

        `request`: the Struct that the body is decoded to; `header` and `optional_header`: header fields to document,
        such as X-PowerAuth-Token; `decrypted`: the Structs inside an encrypted request and its answer, to document;
        `role`: admin, integration, any (of these two), sip-proxy, several of them (`integration|sip-proxy`), user (a
        person), or None for no authentication by the glue; `schemes`: how a person may prove it, Basic unless said;
        `instead`: a header field by which the handler finds out itself who asks, where it is sent;
        `may_conflict`: 409 is among the answers, as it is for a POST.
        """
        role = self._role if role == "default" else role
        made: BaseRouteHandler = method(
            self.prefix + path,
            operation_id=operation_id,
            tags=[tag or self.name],
            summary=summary or None,
            status_code=status,
            sync_to_thread=None,
            operation_class=describe(
                self.name,
                request,
                role,
                status,
                header=header,
                optional_header=(*optional_header, instead) if instead else optional_header,
                decrypted=decrypted,
                xml=self._xml,
                may_conflict=method is post if may_conflict is None else may_conflict,
                schemes=schemes,
            ),
            opt={
                "role": role,
                "face": self.name,
                "request": request,
                "xml": self._xml,
                "schemes": schemes,
                "instead": instead,
            },
            **options,
        )
        return made


cloud = Face("cloud", "/powerauth-cloud", "integration")
mobile = Face("mobile", "/enrollment-server", None)
native = Face("native", "/api/v1", "admin")
uds = Face("uds", "/cucm-uds", "user", xml=True)
