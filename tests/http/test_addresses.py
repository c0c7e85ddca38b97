"""Addresses and methods: what is on which listener, what an unknown one is answered, what every answer carries."""

from __future__ import annotations

import re
from collections.abc import Iterator

from litestar import Litestar
from litestar.routes import HTTPRoute

from ringback.server import make_apps
from tests.contract.raw import RawAnswer, request_bytes, send
from tests.contract.xml import refusal
from tests.served import Served

ALL_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")


def addresses(app: Litestar) -> Iterator[tuple[str, frozenset[str]]]:
    """Every path of an application, with something in its parameters, and its methods."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield re.sub(r"\{[^}]*\}", "x", route.path_format), frozenset(route.methods)


def both_apps(served: Served) -> tuple[Litestar, Litestar]:
    public, internal = make_apps(served.installation, served.rooms)
    return public._app, internal._app


def code_of(path: str, answer: RawAnswer) -> str:
    if path.startswith("/cucm-uds"):
        assert answer.headers["content-type"] == "application/xml"
        return refusal(answer.content)["code"]
    shown = answer.json
    is_enveloped = path.startswith(("/powerauth-cloud", "/enrollment-server"))
    assert answer.headers["content-type"] == ("application/json" if is_enveloped else "application/problem+json")
    return str(shown["responseObject"]["code"] if is_enveloped else shown["code"])


async def test_no_address_of_one_listener_exists_on_the_other(served_sqlite: Served) -> None:
    public, internal = (dict(addresses(app)) for app in both_apps(served_sqlite))
    assert public
    assert internal
    assert not set(public) & set(internal)
    headers = {"Authorization": served_sqlite.admin.header, "Content-Type": "application/json"}
    for elsewhere, base in ((internal, served_sqlite.public), (public, served_sqlite.internal)):
        for path, methods in elsewhere.items():
            for method in sorted(methods):
                answer = await send(base, request_bytes(method, path, headers))
                assert answer.status == 404, (method, path)
                assert code_of(path, answer) == "ERROR_NOT_FOUND"


async def test_no_address_that_is_not_ours(served_sqlite: Served) -> None:
    """A framework likes to add pages of its own."""
    public, internal = (dict(addresses(app)) for app in both_apps(served_sqlite))
    theirs = ("/enrollment-server/", "/cucm-uds/", "/api/v1/calls/by-notification/")
    assert [path for path in public if not path.startswith(theirs)] == []
    ours = re.compile(r"/powerauth-cloud/|/api/v1/|/health/(live|ready)$|/metrics$|/docs$")
    assert [path for path in internal if not ours.match(path)] == []


UNKNOWN = (
    "/", "//", "/nothing", "/powerauth-cloud", "/powerauth-cloud/", "/powerauth-cloud/v2", "/powerauth-cloud/v3/none",
    "/powerauth-cloud/v2/registrationsx", "/powerauth-cloud/v2/registrations/a/b/c", "/POWERAUTH-CLOUD/v2/operations",
    "/powerauth-cloud/v2/registrations/a%2Fb/commit", "/schema", "/schema/swagger",
    "/powerauth-cloud/../metrics", "/powerauth-cloud/%2e%2e/metrics", "/enrollment-server/pa/v3", "/api/v1/nothing",
    "/robots.txt", "/favicon.ico", "/.env", "/powerauth-cloud/v2/signature/verify/%F0%9F%98%80", "/%ff%fe",
)  # fmt: skip


async def test_unknown_addresses(served_sqlite: Served) -> None:
    headers = {"Authorization": served_sqlite.integration.header}
    for base in (served_sqlite.internal, served_sqlite.public):
        for path in UNKNOWN:
            for method in ("GET", "POST", "DELETE"):
                answer = await send(base, request_bytes(method, path, headers))
                assert answer.status == 404, (method, path, answer)
                assert code_of(path, answer) == "ERROR_NOT_FOUND"


async def test_addresses_that_are_no_addresses(served_sqlite: Served) -> None:
    for target in ("nothing", "*", "http://evil.example/powerauth-cloud/v2/operations", "\x01", "/a b"):
        for base in (served_sqlite.internal, served_sqlite.public):
            answer = await send(base, request_bytes("GET", target, {}), close_after=True)
            assert answer.status in {0, 400, 404, 405, 421}, (target, answer)


async def test_wrong_methods_name_the_right_ones(served_sqlite: Served) -> None:
    apps = both_apps(served_sqlite)
    for app, base in zip(apps, (served_sqlite.public, served_sqlite.internal), strict=True):
        for path, methods in addresses(app):
            known = methods | ({"HEAD"} if "GET" in methods else set())
            for method in ALL_METHODS:
                if method in known:
                    continue
                answer = await send(base, request_bytes(method, path, {}))
                assert answer.status == 405, (method, path, answer)
                assert set(answer.headers["allow"].split(", ")) == known
                if method != "HEAD":
                    assert code_of(path, answer) == "ERROR_REQUEST"
            asked = await send(base, request_bytes("OPTIONS", path, {}))
            assert (asked.status, asked.content) == (204, b"")
            assert set(asked.headers["allow"].split(", ")) == known


async def test_head_is_get_without_the_body(served_sqlite: Served) -> None:
    headers = {"Authorization": served_sqlite.integration.header}
    unproved: dict[str, str] = {}
    for path, fields in (
        ("/health/ready", unproved),
        ("/powerauth-cloud/swagger-ui/index.html", unproved),
        ("/powerauth-cloud/v2/registrations?userId=u", headers),
        ("/powerauth-cloud/v2/registrations?userId=u", unproved),
        ("/nothing", unproved),
    ):
        got = await send(served_sqlite.internal, request_bytes("GET", path, fields))
        head = await send(served_sqlite.internal, request_bytes("HEAD", path, fields))
        assert (head.status, head.content) == (got.status, b"")
        varying = {"date", "transfer-encoding"}
        assert {k: v for k, v in head.headers.items() if k not in varying} == {
            k: v for k, v in got.headers.items() if k not in varying
        }


async def test_every_answer_carries_the_security_headers(served_sqlite: Served) -> None:
    for path, status in (
        ("/health/live", 200),
        ("/metrics", 200),
        ("/nothing", 404),
        ("/powerauth-cloud/v2/registrations?userId=u", 401),
        ("/powerauth-cloud/v2/signature/verify", 405),
        ("/powerauth-cloud/v3/api-docs", 200),
        ("/powerauth-cloud/swagger-ui/index.html", 200),
        ("/powerauth-cloud/x?y=%00", 400),
    ):
        answer = await send(served_sqlite.internal, request_bytes("GET", path, {}))
        assert answer.status == status, path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] == "no-referrer", path
        assert answer.headers["cache-control"] == ("max-age=3600" if "swagger-ui" in path else "no-store"), path
        assert "server" not in answer.headers, path


async def test_other_origins_are_told_nothing(served_sqlite: Served) -> None:
    asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "GET"):
        answer = await send(served_sqlite.internal, request_bytes(method, "/powerauth-cloud/v2/operations", asking))
        assert not [name for name in answer.headers if name.startswith("access-control")]
