"""OPTIONS for every address. Litestar's own answer knows only the first method that was registered at an address."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from litestar import Response, route
from litestar.enums import HttpMethod
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler


def with_options(handlers: Sequence[BaseRouteHandler]) -> list[BaseRouteHandler]:
    """The handlers, and before them one for each of their paths, which says what may be asked there."""
    methods: dict[str, set[str]] = defaultdict(set)
    for handler in handlers:
        if isinstance(handler, HTTPRouteHandler):
            for path in handler.paths:
                methods[path] |= handler.http_methods
    return [*(_options(path, allow_header(known)) for path, known in methods.items()), *handlers]


def allow_header(methods: set[str]) -> str:
    """The Allow header field for an address that has handlers for these methods."""
    implied = {"OPTIONS", "HEAD"} if "GET" in methods else {"OPTIONS"}
    return ", ".join(sorted(methods | implied))


def _options(path: str, allow: str) -> BaseRouteHandler:
    @route(path, http_method=[HttpMethod.OPTIONS], status_code=204, include_in_schema=False, opt={"role": None})
    async def options() -> Response[None]:
        return Response(None, headers={"Allow": allow})

    return options
