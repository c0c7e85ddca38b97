"""Who is calling, from where, and with what kind of body: decided before a handler runs."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Any, Protocol

from litestar import Request

from ringback.errors import InvalidRequest, NotAllowed, NotAuthenticated, Violation
from ringback.http.end_users import BASIC, Asked, EndUserAuthenticators
from ringback.http.xml import MEDIA_TYPE, MEDIA_TYPES
from ringback.principal import Principal

Req = Request[Any, Any, Any]
"""A request, for handlers. Litestar would have them say of which user, which credentials and which state."""

PRINCIPAL = "ringback.principal"
PEER = "ringback.peer"
TRUSTED_PEER = "ringback.trusted_peer"
END_USER = "user"
"""The role of addresses that are for people; no system user, whatever its role, may call them."""
_ANY = frozenset({"admin", "integration"})
"""Whom the role `any` lets in: those that are not for one purpose alone."""
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


def asked_of(request: Req) -> Asked:
    """What the request asks for, for whoever proves people."""
    scope: Any = request.scope
    query = scope["query_string"]
    target = scope["raw_path"].decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")
    host = request.headers.get("host", "").rpartition("@")[2].lower()
    return Asked(remote_address(request), request.method, target, host if "]" in host else host.partition(":")[0])


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

    A handler's `opt` says what to look at: `request` (a body must be JSON, with `xml` XML), `role` (who may call) and,
    for people, `schemes` (how they may prove it, Basic unless it says otherwise) and `instead` (a header field: the
    handler finds out itself who asks, where it is sent).
    """

    def __init__(self, authenticator: Authenticator, end_users: EndUserAuthenticators | None = None) -> None:
        self._authenticator = authenticator
        self._end_users = end_users or EndUserAuthenticators()

    async def __call__(self, request: Req) -> None:
        """Raises InvalidRequest, NotAuthenticated or NotAllowed; otherwise leaves the principal in the scope."""
        handler_opt = request.route_handler.opt
        role = handler_opt.get("role")
        instead = handler_opt.get("instead")
        if role is not None and not (instead and instead in request.headers):
            await self._require_role(request, role)
        if handler_opt.get("request") is not None:
            _require_media_type(request, xml=handler_opt.get("xml", False))

    async def _require_role(self, request: Req, role: str) -> None:
        scope: Any = request.scope
        if scope["scheme"] != "https" and not scope.get(TRUSTED_PEER) and not is_loopback(scope.get(PEER)):
            raise NotAuthenticated(
                "Passwords are taken over TLS only. Set RINGBACK_TLS_CERTIFICATE and RINGBACK_TLS_KEY, or name your"
                " proxy in RINGBACK_TRUSTED_PROXIES.",
            )
        authorization = request.headers.get("authorization")
        if authorization and request.method not in _READING and request.headers.get("sec-fetch-site") in _FOREIGN_SITES:
            raise NotAllowed("Pages of other sites may not send requests with your password.")
        if role == END_USER:
            schemes = request.route_handler.opt.get("schemes", BASIC)
            scope[PRINCIPAL] = await self._end_users.authenticate(authorization, asked_of(request), schemes)
            return
        if not authorization:
            raise NotAuthenticated
        principal = await self._authenticator.authenticate(authorization)
        if principal.role not in (_ANY if role == "any" else role.split("|")):
            raise NotAllowed(f"This address is for users of role {role}; {principal.name} has role {principal.role}.")
        scope[PRINCIPAL] = principal


def _require_media_type(request: Req, *, xml: bool) -> None:
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    wanted = MEDIA_TYPE if xml else "application/json"
    kind, _, parameters = headers.get("content-type", wanted).partition(";")
    kind = kind.strip().lower()
    fits_xml = kind in MEDIA_TYPES and _is_utf8(parameters)
    fits_json = kind == "application/json" or kind.endswith("+json")
    if not (fits_xml if xml else fits_json):
        hint = f"Send the body as {wanted}, in UTF-8." if xml else f"Send the body as {wanted}."
        raise InvalidRequest(hint, violations=(Violation("Content-Type", kind[:100], hint),))


def _is_utf8(parameters: str) -> bool:
    """Whether the parameters of a media type name no other encoding. It counts more than what the XML says itself."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in {"utf-8", "us-ascii"}:
            return False
    return True
