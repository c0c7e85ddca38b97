"""An application of a few handlers on the real glue, without rooms."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request
from litestar.params import QueryParameter, RawBody

from ringback.errors import NotAuthenticated, RingbackError
from ringback.http import Ok, cloud, decode, mobile, native, principal_of, remote_address
from ringback.http.app import make_app
from ringback.http.edge import Edge
from ringback.principal import Principal

Req = Request[Any, Any, Any]
AUTHORIZATION = {"Authorization": "Basic am9lOmpvZQ=="}
ROLES = {"Basic am9lOmpvZQ==": "integration", "Basic YW5uOmFubg==": "admin"}
FACES = {"cloud": cloud, "mobile": mobile, "native": native}
PATHS = {"cloud": "/powerauth-cloud", "mobile": "/enrollment-server", "native": "/api/v1"}


class Named(msgspec.Struct, frozen=True):
    """A body."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=10)]


class Seen(msgspec.Struct, frozen=True):
    """Who asked, from where."""

    principal: str
    address: str


class FixedUsers:
    """Knows joe (integration) and ann (admin)."""

    async def authenticate(self, authorization: str) -> Principal:
        if authorization not in ROLES:
            raise NotAuthenticated("The user name or the password is wrong, or the user is disabled.")
        return Principal("system_user", "joe" if ROLES[authorization] == "integration" else "ann", ROLES[authorization])


def small_app(
    raised: Exception | None = None, *, trusted_proxies: str = "", hosts: frozenset[str] | None = None
) -> Edge:
    """On every face GET /seen and POST /change for users; GET /boom (raises), POST /named, GET /count?n= for all."""
    handlers: list[Any] = []
    for name, face in FACES.items():
        handlers += _handlers(name, face, raised)
    app = make_app(handlers, authenticator=FixedUsers(), body_limit_bytes=1024)
    return Edge(app, trusted_proxies=trusted_proxies, hosts=hosts)


def _handlers(name: str, face: Any, raised: Exception | None) -> list[Any]:
    @face.get("/seen", operation_id=f"{name}Seen", role="integration")
    async def seen(request: Req) -> Seen:
        return Seen(principal_of(request).name, remote_address(request))

    @face.get("/boom", operation_id=f"{name}Boom", role=None)
    async def boom() -> Ok:
        raise raised or RingbackError

    @face.post("/named", operation_id=f"{name}Named", role=None, request=Named)
    async def named(body: RawBody) -> Named:
        return decode(body, Named)

    @face.get("/count", operation_id=f"{name}Count", role=None)
    async def count(number: Annotated[int, QueryParameter(name="n", ge=1)]) -> Ok:
        return Ok(str(number))

    @face.post("/change", operation_id=f"{name}Change", role="integration")
    async def change() -> Ok:
        return Ok()

    return [seen, boom, named, count, change]
