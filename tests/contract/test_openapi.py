"""What the server says about its own API is true, complete, and shown without anybody else's server."""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from litestar import Litestar
from litestar.routes import HTTPRoute

from ringback.http.swagger import FOLDER
from ringback.server import make_apps
from tests.contract import tutorial
from tests.contract.documents import METHODS, documents_of, operations_of
from tests.served import Served

UNDOCUMENTED = {
    "/docs",
    "/metrics",
    "/powerauth-cloud/swagger-ui",
    "/powerauth-cloud/swagger-ui.html",
    "/powerauth-cloud/swagger-ui/{}",
    "/powerauth-cloud/v3/api-docs",
    "/powerauth-cloud/v3/api-docs/public",
}
"""The documentation itself, and what a machine reads in a form of its own."""


def litestar_apps(served: Served) -> tuple[Litestar, Litestar]:
    """The public and the internal application."""
    public, internal = make_apps(served.installation, served.rooms)
    return public._app, internal._app


def routes_of(app: Litestar) -> set[tuple[str, str]]:
    """Every method and path of an application; path parameters without their names."""
    return {
        (method, re.sub(r"\{[^}]*\}", "{}", route.path_format))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method.lower() in METHODS
    }


async def test_documents_are_valid(served_sqlite: Served) -> None:
    for document in await documents_of(served_sqlite):
        assert document["openapi"].startswith("3.1")
        schema = schemathesis.openapi.from_dict(document)
        schema.validate()
        loaded = [operation.ok() for operation in schema.get_all_operations()]
        assert len(loaded) == len(list(operations_of(document))) > 0


async def test_every_route_is_documented_and_nothing_else(served_sqlite: Served) -> None:
    documents = await documents_of(served_sqlite)
    for app, document in zip(litestar_apps(served_sqlite), documents, strict=True):
        routes = {(method, path) for method, path in routes_of(app) if path not in UNDOCUMENTED}
        documented = {(one.method, re.sub(r"\{[^}]*\}", "{}", one.path)) for one in operations_of(document)}
        assert documented == routes


async def test_operation_ids_are_unique_over_both_listeners(served_sqlite: Served) -> None:
    ids = [one.id for document in await documents_of(served_sqlite) for one in operations_of(document)]
    assert len(ids) == len(set(ids))


async def test_every_operation_says_what_may_go_wrong(served_sqlite: Served) -> None:
    for document in await documents_of(served_sqlite):
        for operation in operations_of(document):
            answers = set(operation.content["responses"])
            assert operation.tags, operation.id
            if operation.tags == ["Health"]:
                continue
            assert {"400", "404", "413", "503"} <= answers, operation.id
            if operation.content.get("security"):
                assert {"401", "403"} <= answers, operation.id


async def test_links_of_the_tutorial_lead_somewhere(served_sqlite: Served) -> None:
    """`swagger-ui/index.html#/System Users/createUser`: the pair of tag and operation id must be in the document."""
    _, internal = await documents_of(served_sqlite)
    pairs = {(tag, one.id): one for one in operations_of(internal) for tag in one.tags}
    for printed in tutorial.BUILT:
        operation = pairs[printed.console]
        assert operation.method == printed.method
        printed_shape = re.sub(r"\$\{\w+\}|<client-name>-[a-z-]+", "{}", printed.path).rstrip("/")
        assert re.sub(r"\{[^}]*\}", "{}", operation.path) == printed_shape


async def test_deep_links_are_on() -> None:
    start = (FOLDER / "start.js").read_text()
    assert re.search(r"\bdeepLinking:\s*true\b", start)
    assert re.search(r"\bvalidatorUrl:\s*null\b", start)  # the default sends the document to a server of Swagger's


PAGE_FILES = {
    "index.html": "text/html",
    "start.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}


async def test_swagger_ui_is_served_from_our_own_files(served_sqlite: Served) -> None:
    for name, kind in PAGE_FILES.items():
        url = f"{served_sqlite.internal}/powerauth-cloud/swagger-ui/{name}"
        async with served_sqlite.session.get(url) as answer:
            body = await answer.read()
        assert answer.status == 200
        assert answer.content_type == kind
        assert body == (FOLDER / name).read_bytes()
        policy = _directives(answer.headers["Content-Security-Policy"])
        assert policy["default-src"] == "'none'"
        allowed = {source for sources in policy.values() for source in sources.split()}
        assert allowed <= {"'none'", "'self'", "'unsafe-inline'", "data:"}
        assert "'unsafe-inline'" not in policy["script-src"]


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = (FOLDER / "index.html").read_text()
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=\"([^\"]*)\"", page)
    assert {"swagger-ui.css", "swagger-ui-bundle.js", "start.js"} == set(loaded)
    assert all((FOLDER / name).is_file() for name in loaded)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=", page), "inline script, which the policy forbids"
    sheet = (FOLDER / "swagger-ui.css").read_text()
    assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", sheet)


async def test_short_addresses_lead_to_the_page(served_sqlite: Served) -> None:
    for path in ("/docs", "/powerauth-cloud/swagger-ui", "/powerauth-cloud/swagger-ui.html"):
        async with served_sqlite.session.get(served_sqlite.internal + path, allow_redirects=False) as answer:
            assert answer.status in {301, 302, 307, 308}
            assert answer.headers["Location"] == "/powerauth-cloud/swagger-ui/index.html"


async def test_no_other_file_is_served(served_sqlite: Served) -> None:
    for name in ("README.md", "..%2F..%2Fapp.py", "%2e%2e%2fapp.py", "nothing.js", "LICENSE"):
        answer = await served_sqlite.call("GET", f"/powerauth-cloud/swagger-ui/{name}")
        assert answer.status == 404


def _directives(policy: str) -> dict[str, Any]:
    return {name: value for name, _, value in (part.strip().partition(" ") for part in policy.split(";"))}
