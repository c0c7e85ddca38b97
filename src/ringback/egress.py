"""The guarded way out: every request to a URL that somebody else chose (callbacks, OpenID providers).

The address is checked where the connection is made, after the name was resolved and for every attempt, so that a name
that changes its address between two looks gains nothing. Names are resolved before a request takes one of the
connections, which slow ones would use up: see `ringback.resolving`. Redirects are not followed, cookies not kept,
proxies of the environment not used, answers not decompressed; time and size have limits. See `ringback.destinations`
for the policy.

With RINGBACK_EGRESS_PROXY, https goes through a CONNECT proxy: the name is resolved and checked here, and the proxy is
given the address, while TLS still proves the name. Plain http exists only inside allow-listed networks and goes there
directly.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ringback.destinations import Destinations, Network
from ringback.errors import DestinationNotAllowed, DestinationUnreachable
from ringback.resolving import Resolver, SystemResolver

CONNECT_SECONDS = 5
CONNECTIONS = 200
CONNECTIONS_PER_HOST = 10
USER_AGENT = "Ringback"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

Way = Literal["http", "https", "proxy"]


class EgressAnswer(msgspec.Struct, frozen=True):
    """An answer. `headers` by name in lower case; `truncated` when more than the limit came and was not read."""

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool = False


class _AddressRefused(OSError):
    """What the socket factory raises; aiohttp takes only an OSError there. Without the address: it reaches tenants."""


_found: ContextVar[Sequence[str]] = ContextVar("addresses that the request of this task has found")


class _Found(AbstractResolver):
    """What aiohttp asks, which has no way to be told addresses: it hears those that the request has found already."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """aiohttp sees by itself of which family an address is."""
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in _found.get()
        ]

    async def close(self) -> None:
        """There is nothing to close."""


class Egress:
    """An HTTP client that may be handed any URL."""

    def __init__(
        self,
        *,
        allow: Iterable[Network] = (),
        ports: Iterable[int] = (443,),
        proxy: str = "",
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        per_host: int = CONNECTIONS_PER_HOST,
    ) -> None:
        self._destinations = Destinations(allow, ports)
        self._proxy = URL(proxy) if proxy else None
        self._resolver = resolver or SystemResolver()
        self._tls = tls
        self._per_host = per_host
        self._sessions: dict[Way, aiohttp.ClientSession] = {}

    def check_url(self, url: str) -> None:
        """What can be said when a URL is saved, before its name is resolved. Raises DestinationNotAllowed."""
        self._destinations.check_url(url)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes = b"",
        timeout_seconds: float = 10,
        limit_bytes: int = 65_536,
        owner: str = "",
        urgent: bool = False,
    ) -> EgressAnswer:
        """Sends one request and reads the answer, whatever its status, up to `limit_bytes`.

        `timeout_seconds` is for everything together. `owner`: the app whose request it is, which waits for its own slow
        names only; one that is `urgent` does not wait for those that are not.

        Raises DestinationNotAllowed and DestinationUnreachable.
        """
        target = self._destinations.check_url(url)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(timeout_seconds, CONNECT_SECONDS))
        options: dict[str, Any] = {
            "headers": {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
            "data": body or None,
            "timeout": timeout,
            "allow_redirects": False,
        }
        try:
            async with asyncio.timeout(timeout_seconds):
                found = await self._resolver.addresses(target.raw_host or "", owner=owner, urgent=urgent)
                if self._proxy is not None and target.scheme == "https":
                    return await self._send_by_proxy(self._proxy, method, target, found, options, limit_bytes)
                _found.set(found)
                return await self._send(_way(target), method, target, options, limit_bytes)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            raise _translate(error) from error

    async def close(self) -> None:
        """Closes all connections."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()
        self._resolver.close()

    async def _send(self, way: Way, method: str, url: URL, options: dict[str, Any], limit_bytes: int) -> EgressAnswer:
        async with self._session(way).request(method, url, **options) as response:
            body = bytearray()
            while len(body) <= limit_bytes and (part := await response.content.readany()):
                body += part
            truncated = len(body) > limit_bytes
            if truncated:
                response.close()
            headers = {name.lower(): value for name, value in response.headers.items()}
            return EgressAnswer(response.status, headers, bytes(body[:limit_bytes]), truncated)

    async def _send_by_proxy(
        self, proxy: URL, method: str, url: URL, found: Sequence[str], options: dict[str, Any], limit_bytes: int
    ) -> EgressAnswer:
        """The proxy is told an address that was checked, TLS and the Host field say the name."""
        refusal = DestinationNotAllowed()
        for address in found:
            try:
                self._destinations.check_address(address, url.port or 0, secure=True)
            except DestinationNotAllowed as error:
                refusal = error
                continue
            options["headers"] = {"Host": url.raw_authority, **options["headers"]}
            options |= {"server_hostname": url.raw_host, "proxy": proxy}
            _found.set(await self._resolver.addresses(proxy.raw_host or "", urgent=True))
            return await self._send("proxy", method, url.with_host(address), options, limit_bytes)
        raise refusal

    def _session(self, way: Way) -> aiohttp.ClientSession:
        """One for each way, made when it is first needed, in the process and the loop that use it."""
        if way not in self._sessions:
            connector = aiohttp.TCPConnector(
                ssl=self._tls or ssl.create_default_context(),
                limit=CONNECTIONS,
                limit_per_host=self._per_host,
                resolver=_Found(),
                use_dns_cache=False,
                socket_factory=None if way == "proxy" else self._guard(secure=way == "https"),
            )
            self._sessions[way] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                skip_auto_headers=("Content-Type",),
            )
        return self._sessions[way]

    def _guard(self, *, secure: bool) -> Any:
        """Makes sockets for addresses that are allowed; aiohttp asks it for each address that it wants to try."""

        def make_socket(info: Any) -> socket.socket:
            family, kind, protocol, _, (host, port, *_) = info
            try:
                self._destinations.check_address(host, port, secure=secure)
            except DestinationNotAllowed as error:
                raise _AddressRefused("address not allowed") from error
            return socket.socket(family, kind, protocol)

        return make_socket


def _way(url: URL) -> Way:
    return "https" if url.scheme == "https" else "http"


def _translate(error: Exception) -> DestinationNotAllowed | DestinationUnreachable:
    """Our error for one of aiohttp's: short, and without the address, since tenants read it."""
    if isinstance(getattr(error, "os_error", error), _AddressRefused):
        return DestinationNotAllowed(cause=error)
    if isinstance(error, TimeoutError):
        return DestinationUnreachable("The destination did not answer in time.", cause=error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return DestinationUnreachable("The destination's certificate is not trusted for this name.", cause=error)
    if isinstance(error, aiohttp.ClientSSLError):
        return DestinationUnreachable("The destination does not speak TLS as it should.", cause=error)
    if isinstance(error, aiohttp.ClientConnectorError | socket.gaierror):
        return DestinationUnreachable("No connection to the destination could be made.", cause=error)
    return DestinationUnreachable(cause=error)
