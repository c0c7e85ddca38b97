"""Who is calling, from where, and with what kind of body: decided before a handler runs."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Any, Protocol

from litestar import Request

from ringback.errors import InvalidRequest, NotAllowed, NotAuthenticated, Violation
from ringback.principal import Principal

Req = Request[Any, Any, Any]
"""A request, for handlers. Litestar would have them say of which user, which credentials and which state."""

PRINCIPAL = "ringback.principal"
PEER = "ringback.peer"
TRUSTED_PEER = "ringback.trusted_peer"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN_SITES = frozenset({"cross-site", "same-site"})
"""What a browser says (Fetch Metadata, Sec-Fetch-Site) when another site's page made it send the request. It adds by
itself the password that a person once gave it for this address, in Swagger UI for example."""


class Authenticator(Protocol):
    """Turns the Authorization header into a principal; the `access` room has one."""

    async def authenticate(self, authorization: str) -> Principal:
        """Raises NotAuthenticated when the header proves nobody."""
        ...


def principal_of(request: Req) -> Principal:
    """The principal that the guard found."""
    scope: Any = request.scope
    principal: Principal = scope[PRINCIPAL]
    return principal


def remote_address(request: Req) -> str:
    """The address of whoever sent the request, as far as trusted proxies tell."""
    return request.client.host if request.client else "unknown"


@lru_cache(maxsize=1024)
def is_loopback(host: str | None) -> bool:
    """Whether the peer is this machine. A Unix socket has no host."""
    if host is None:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Runs before every handler, as Litestar's `before_request`; its `guards` would copy the handler each time.

    A handler's `opt` says what to look at: `request` (a body must be JSON) and `role` (who may call).
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, request: Req) -> None:
        """Raises InvalidRequest, NotAuthenticated or NotAllowed; otherwise leaves the principal in the scope."""
        handler_opt = request.route_handler.opt
        role = handler_opt.get("role")
        if role is not None:
            await self._require_role(request, role)
        if handler_opt.get("request") is not None:
            _require_json(request)

    async def _require_role(self, request: Req, role: str) -> None:
        scope: Any = request.scope
        if scope["scheme"] != "https" and not scope.get(TRUSTED_PEER) and not is_loopback(scope.get(PEER)):
            raise NotAuthenticated(
                "Passwords are taken over TLS only. Set RINGBACK_TLS_CERTIFICATE and RINGBACK_TLS_KEY, or name your"
                " proxy in RINGBACK_TRUSTED_PROXIES.",
            )
        authorization = request.headers.get("authorization")
        if not authorization:
            raise NotAuthenticated
        if request.method not in _READING and request.headers.get("sec-fetch-site") in _FOREIGN_SITES:
            raise NotAllowed("Pages of other sites may not send requests with your password.")
        principal = await self._authenticator.authenticate(authorization)
        if role not in {"any", principal.role}:
            raise NotAllowed(f"This address is for users of role {role}; {principal.name} has role {principal.role}.")
        scope[PRINCIPAL] = principal


def _require_json(request: Req) -> None:
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        hint = "Send the body as application/json."
        raise InvalidRequest(hint, violations=(Violation("Content-Type", kind[:100], hint),))
