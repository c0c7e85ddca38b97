"""The way to the other side: name, address, proxy, TLS. Ends with a connection that has received its first SETTINGS.

Until then nothing was sent that anybody could act on, so whatever goes wrong here is `NotSent`. That includes a client
certificate that is refused: with TLS 1.3 that is only heard after our side thinks that the handshake is over.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec

from ringback.errors import DestinationNotAllowed
from ringback.http2.connection import Connection
from ringback.http2.model import NotSent

CheckAddress: TypeAlias = Callable[[str, int], None]
Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

_MOST_HEAD = 8_192
_DONE = b"\r\n\r\n"


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy that is asked for tunnels; `authorization` is the value of Proxy-Authorization, or empty."""

    host: str
    port: int
    authorization: str = ""


class Way(msgspec.Struct, frozen=True):
    """Where to, and how. `check_address` is asked about each address before anything is sent to it."""

    host: str
    port: int
    tls: ssl.SSLContext
    proxy: Proxy | None
    check_address: CheckAddress | None
    resolve: Resolve | None


def read_proxy(url: str) -> Proxy:
    """`http://[user:password@]host:port`. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not parts.port or parts.path.strip("/"):
        raise ValueError("A proxy is written as http://host:port.")
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    authorization = "Basic " + base64.b64encode(pair.encode()).decode() if parts.username else ""
    return Proxy(parts.hostname, parts.port, authorization)


async def dial(way: Way, make: Callable[[], Connection], *, seconds: float) -> Connection:
    """A connection on which requests may be sent. Raises NotSent, whose reason does not name the address."""
    made: list[Connection] = []

    def factory() -> Connection:
        made.append(make())
        return made[-1]

    try:
        async with asyncio.timeout(seconds):
            connected = await _connect(way, seconds)
            loop = asyncio.get_running_loop()
            try:
                await loop.create_connection(factory, sock=connected, ssl=way.tls, server_hostname=way.host)
            except BaseException:
                connected.close()
                raise
            await made[0].ready
            return made.pop()
    except Exception as error:  # whatever resolvers, proxies and TLS raise: those who wait must be told
        raise NotSent(_reason(error), connection_failed=True) from error
    finally:
        for connection in made:
            connection.abort()


async def _connect(way: Way, seconds: float) -> socket.socket:
    """A TCP connection to the other side, or a tunnel to it. Raises OSError and DestinationNotAllowed."""
    if way.proxy is None:
        return await _connect_to_any(await _allowed(way), way.port, seconds)
    target = way.host if way.check_address is None else (await _allowed(way))[0]
    connected = await _connect_to_any(await _resolve(way.proxy.host, way.proxy.port), way.proxy.port, seconds)
    try:
        await _ask_for_tunnel(connected, way.proxy, target, way.port)
    except BaseException:
        connected.close()
        raise
    return connected


async def _allowed(way: Way) -> list[str]:
    """The addresses of the other side that may be called. Raises DestinationNotAllowed when there is none."""
    addresses = await (way.resolve or _resolve)(way.host, way.port)
    if way.check_address is None:
        return addresses
    allowed, refusal = [], DestinationNotAllowed()
    for address in addresses:
        try:
            way.check_address(address, way.port)
        except DestinationNotAllowed as error:
            refusal = error
        else:
            allowed.append(address)
    if not allowed:
        raise refusal
    return allowed


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _connect_to_any(addresses: list[str], port: int, seconds: float) -> socket.socket:
    """One after the other, each with a fair share of the time, so that one that is silent does not use it up."""
    failure: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            async with asyncio.timeout(seconds / len(addresses)):
                return await _connect_to(address, port)
        except OSError as error:
            failure = error
    raise failure


async def _connect_to(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connecting, (address, port))
    except BaseException:
        connecting.close()
        raise
    return connecting


async def _ask_for_tunnel(connected: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    """CONNECT (RFC 9110 §9.3.6). Nothing follows the answer's head, since with TLS it is we who speak first."""
    loop = asyncio.get_running_loop()
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await loop.sock_sendall(connected, "\r\n".join(lines).encode("ascii") + _DONE)
    head = b""
    while _DONE not in head:
        part = await loop.sock_recv(connected, _MOST_HEAD)
        head += part
        if not part or len(head) > _MOST_HEAD:
            raise _ProxyRefused("the proxy did not answer as one")
    status = head.split(b"\r\n", 1)[0].split(b" ")[1:2]
    if not status or not status[0].startswith(b"2"):
        raise _ProxyRefused(f"the proxy refused: {b''.join(status)[:3].decode('ascii', 'replace') or 'no status'}")


class _ProxyRefused(OSError):
    """There is no tunnel."""


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (DestinationNotAllowed, "this address may not be called"),
    (TimeoutError, "no connection in time"),
    (ssl.SSLCertVerificationError, "the certificate is not trusted for this name"),
    (socket.gaierror, "the name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionResetError, "the connection was reset"),
    (UnicodeError, "the name could not be resolved"),
)


def _reason(error: Exception) -> str:
    if isinstance(error, _ProxyRefused):
        return str(error)
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, ssl.SSLError):
        return f"TLS refused: {error.reason or 'no reason given'}"
    if type(error) is ConnectionError:  # what a connection said about itself before it was ready
        return str(error)
    return "no connection could be made"
