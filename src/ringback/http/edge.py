"""The outermost layer of a listener: trusted proxies, Host names, limits that hold before any handler is found."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ringback.errors import HeadersTooLarge, HostUnknown, InvalidRequest, RingbackError
from ringback.http.connection import MAX_HEADER_FIELDS
from ringback.http.guards import PEER, TRUSTED_PEER
from ringback.http.render import SECURITY_HEADERS, error_body
from ringback.settings_checks import parse_networks

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MAX_HEADER_BYTES = 32_768
MAX_PATH_BYTES = 8_192
_SECURITY_FIELDS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


class Edge:
    """Wraps an ASGI application.

    `trusted_proxies`: addresses and networks whose X-Forwarded-For and -Proto count. `hosts`: the Host names that this
    listener answers to (lower case, without port), or None for any; a browser that was tricked into calling an internal
    address by another name (DNS rebinding) gets nothing.
    """

    def __init__(self, app: Any, *, trusted_proxies: str, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._networks = parse_networks(trusted_proxies)
        if self._networks:
            self._app = ProxyHeadersMiddleware(self._app, trusted_hosts=[str(n) for n in self._networks])
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or refuses it before anything else looks at it."""
        if scope["type"] == "http":
            client = scope.get("client")
            peer = client[0] if client else None
            scope[PEER] = peer
            scope[TRUSTED_PEER] = bool(self._networks) and self._is_trusted(peer)
            refusal = self._refusal(scope)
            if refusal is not None:
                await _answer(send, scope["path"], refusal)
                return
            if scope["method"] == "HEAD":  # as GET; uvicorn, which keeps its own scope, leaves the body out
                scope = {**scope, "method": "GET"}
        await self._app(scope, receive, _with_security_headers(send))

    def _is_trusted(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _refusal(self, scope: Scope) -> RingbackError | None:
        size, host, hosts = 0, "", 0
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"host":
                host, hosts = value.decode("latin-1"), hosts + 1
        if size > MAX_HEADER_BYTES or len(scope["headers"]) > MAX_HEADER_FIELDS:
            return HeadersTooLarge()
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_PATH_BYTES:
            return HeadersTooLarge()
        if b"%00" in scope["raw_path"] or b"%00" in scope["query_string"]:
            return InvalidRequest("The address must not contain the character U+0000.")
        if hosts > 1:
            return InvalidRequest("Send one Host header field.")
        if self._hosts is not None and _host_name(host) not in self._hosts:
            return HostUnknown()
        return None


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _with_security_headers(send: Send) -> Send:
    """Adds what every answer carries; here rather than in Litestar, which would copy it for each request."""

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            present = {name for name, _ in headers}
            message["headers"] = [*headers, *(field for field in _SECURITY_FIELDS if field[0] not in present)]
        await send(message)

    return send_with_headers


async def _answer(send: Send, path: str, error: RingbackError) -> None:
    body, media_type = error_body(path, error)
    fields = {"content-type": media_type, "content-length": str(len(body)), **SECURITY_HEADERS}
    headers = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
