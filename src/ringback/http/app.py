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

from ringback.http.end_users import EndUserAuthenticators
from ringback.http.guards import Authenticator, Guard
from ringback.http.methods import with_options
from ringback.http.render import render_error


def make_app(
    handlers: Sequence[BaseRouteHandler],
    *,
    authenticator: Authenticator,
    body_limit_bytes: int,
    end_users: EndUserAuthenticators | None = None,
) -> Litestar:
    """The application. It does not describe itself, since Litestar would add pages of its own; see `openapi_json`.

    `end_users`: how people prove who they are, where there are addresses for them.
    """
    return Litestar(
        route_handlers=with_options(handlers),
        before_request=Guard(authenticator, end_users),
        exception_handlers={Exception: render_error},
        request_max_body_size=body_limit_bytes,
        response_cache_config=ResponseCacheConfig(),
        openapi_config=None,
        logging_config=None,
        debug=False,
    )


def openapi_json(handlers: Sequence[BaseRouteHandler], *, title: str, version: str, server_url: str) -> bytes:
    """The OpenAPI 3.1 document of the handlers; made by an application that is never served."""
    config = OpenAPIConfig(
        title=title,
        version=version,
        servers=[Server(url=server_url)],
        components=Components(
            security_schemes={
                "basic": SecurityScheme(type="http", scheme="basic"),
                "digest": SecurityScheme(
                    type="http", scheme="digest", description="The password of SIP: RFC 7616, SHA-256 or MD5, qop auth."
                ),
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="An access token of RINGBACK_OIDC_ISSUER that names a system user, where that is set.",
                ),
            }
        ),
    )
    unserved = Litestar(route_handlers=list(handlers), openapi_config=config, logging_config=None)
    return msgspec.json.encode(_with_any_of(unserved.openapi_schema.to_schema()))


def _with_any_of(node: Any) -> Any:
    """Litestar writes a union as `oneOf`, which forbids a value that fits two members; msgspec allows it."""
    if isinstance(node, dict):
        return {"anyOf" if name == "oneOf" else name: _with_any_of(item) for name, item in node.items()}
    if isinstance(node, list):
        return [_with_any_of(item) for item in node]
    return node


def json_response(body: bytes) -> Response[bytes]:
    """Bytes that are JSON already."""
    return Response(body, media_type="application/json")
