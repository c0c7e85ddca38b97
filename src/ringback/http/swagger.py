"""OpenAPI documents and Swagger UI, from our own files: no request leaves for anybody else's server."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Redirect

from ringback.errors import NotFound
from ringback.http.app import json_response
from ringback.http.faces import Routes

FOLDER = Path(__file__).parent / "static" / "swagger-ui"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def _file(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def documentation_routes(internal_document: Callable[[], bytes], public_document: Callable[[], bytes]) -> Routes:
    """The pages; the documents are made on the first request, so that a start does not wait for them."""
    internal_json, public_json = cache(internal_document), cache(public_document)
    served = {path.name for path in FOLDER.iterdir() if path.suffix in _TYPES}

    @get("/powerauth-cloud/swagger-ui/{name:str}", include_in_schema=False)
    async def swagger_ui(name: FromPath[str]) -> Response[bytes]:
        if name not in served:
            raise NotFound
        kind = _TYPES[Path(name).suffix]
        return Response(
            _file(name),
            media_type=kind,
            headers={"Content-Security-Policy": _POLICY, "Cache-Control": "max-age=3600"},
        )

    @get(["/docs", "/powerauth-cloud/swagger-ui", "/powerauth-cloud/swagger-ui.html"], include_in_schema=False)
    async def documentation() -> Redirect:
        return Redirect("/powerauth-cloud/swagger-ui/index.html")

    @get("/powerauth-cloud/v3/api-docs", include_in_schema=False)
    async def internal_api() -> Response[Any]:
        return json_response(internal_json())

    @get("/powerauth-cloud/v3/api-docs/public", include_in_schema=False)
    async def public_api() -> Response[Any]:
        return json_response(public_json())

    return Routes(internal=[swagger_ui, documentation, internal_api, public_api])
