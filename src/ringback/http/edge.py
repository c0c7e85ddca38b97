"""The outermost layer of a listener: trusted proxies, Host names, limits that hold before any handler is found."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ringback.errors import StartRefused
from ringback.http.guards import PEER, TRUSTED_PEER
from ringback.http.schema import Problem

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MAX_HEADER_BYTES = 32_768
MAX_PATH_BYTES = 8_192


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
                await _answer(send, *refusal)
                return
        await self._app(scope, receive, send)

    def _is_trusted(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        size, host, hosts = 0, "", 0
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"host":
                host, hosts = value.decode("latin-1"), hosts + 1
        if size > MAX_HEADER_BYTES or len(scope["raw_path"]) + len(scope["query_string"]) > MAX_PATH_BYTES:
            return 431, "HeadersTooLarge", "The header fields or the address are larger than this server accepts."
        if b"%00" in scope["raw_path"] or b"%00" in scope["query_string"]:
            return 400, "NulRefused", "The address must not contain the character U+0000."
        if hosts > 1:
            return 400, "HostAmbiguous", "Send one Host header field."
        if self._hosts is not None and _host_name(host) not in self._hosts:
            return 421, "HostUnknown", "This listener does not answer to that Host name; see RINGBACK_INTERNAL_HOSTS."
        return None


def parse_networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """A comma list of addresses and networks. Raises StartRefused that quotes the wrong one."""
    networks = []
    for part in filter(None, (item.strip() for item in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError as error:
            raise StartRefused(f"RINGBACK_TRUSTED_PROXIES: {part!r} is not an address or network.") from error
    return networks


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


async def _answer(send: Send, status: int, title: str, detail: str) -> None:
    body = msgspec.json.encode(Problem(title=title, status=status, detail=detail))
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
