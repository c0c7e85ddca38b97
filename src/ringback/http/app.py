"""Builds one of the two Litestar applications from the rooms' handlers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Litestar, Response
from litestar.config.response_cache import ResponseCacheConfig
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Server

from ringback.http.guards import Authenticator, RequireRole
from ringback.http.render import render_error

_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app(
    handlers: Sequence[BaseRouteHandler],
    *,
    title: str,
    version: str,
    server_url: str,
    authenticator: Authenticator,
    body_limit_bytes: int,
) -> Litestar:
    """The application; `openapi_json(app)` is its documentation."""
    return Litestar(
        route_handlers=list(handlers),
        guards=[RequireRole(authenticator)],
        exception_handlers={Exception: render_error},
        response_headers=_SECURITY_HEADERS,
        request_max_body_size=body_limit_bytes,
        response_cache_config=ResponseCacheConfig(),
        openapi_config=OpenAPIConfig(
            title=title,
            version=version,
            servers=[Server(url=server_url)],
            components=Components(security_schemes={"basic": SecurityScheme(type="http", scheme="basic")}),
            render_plugins=[],
            path="/no-litestar-pages",
        ),
        logging_config=None,
        debug=False,
    )


def openapi_json(app: Litestar) -> bytes:
    """The OpenAPI 3.1 document of an application."""
    document: dict[str, Any] = app.openapi_schema.to_schema()
    return msgspec.json.encode(document)


def json_response(body: bytes) -> Response[bytes]:
    """Bytes that are JSON already."""
    return Response(body, media_type="application/json")
