"""From a URI or a name to addresses: literal addresses, and host names by the system's resolver.

NAPTR and SRV (RFC 3263) are not asked: the transport is what the URI says, the port its own or the usual one.
"""

from __future__ import annotations

import asyncio
import socket
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.headers import Via
from ringback.protocols.sip.uri import SipUri, parse_uri
from ringback.sip.model import DEFAULT_PORTS, SipAddress, SipUnreachable, Transport

_KEPT_SECONDS: Final = 30.0
_MOST_KEPT: Final = 1_000
_TRANSPORTS: Final[dict[str, Transport]] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}


@lru_cache(maxsize=1024)
def is_address(host: str) -> bool:
    """Whether it is an IP address, not a name."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def next_hop(uri: str | SipUri) -> SipAddress:
    """Where a request to this URI goes; the host may still be a name. Raises SipUnreachable for what is no SIP URI.

    `sips` and `transport=tls` mean TLS; `maddr` is not followed.
    """
    try:
        target = parse_uri(uri) if isinstance(uri, str) else uri
    except SipMalformed as error:
        raise SipUnreachable(f"This is no address: {error.reason}.") from error
    named = (target.parameters.get("transport") or "udp").lower()
    if target.scheme == "sips":
        named = "tls"
    transport = _TRANSPORTS.get(named)
    if transport is None or not target.host:
        raise SipUnreachable("There is no way to this address.")
    return SipAddress(transport, target.host, target.port or DEFAULT_PORTS[transport])


def listens_at(via: Via, transport: Transport) -> SipAddress:
    """Where whoever sent a request over a connection takes new ones, by what its Via says (RFC 3261 §18.2.2)."""
    return SipAddress(transport, via.received or via.host, via.port or DEFAULT_PORTS[transport])


class Resolver:
    """Asks the system and remembers for half a minute, so that a busy name costs one question."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, list[str]]] = {}

    async def addresses(self, to: SipAddress) -> list[str]:
        """The addresses of the host, best first, at least one. Raises SipUnreachable."""
        if is_address(to.host):
            return [to.host]
        loop = asyncio.get_running_loop()
        key = (to.host, to.port)
        known = self._known.get(key)
        if known is not None and known[0] > loop.time():
            return known[1]
        kind = socket.SOCK_DGRAM if to.transport == "udp" else socket.SOCK_STREAM
        try:
            found = await loop.getaddrinfo(to.host, to.port, type=kind)
        except (OSError, UnicodeError) as error:
            raise SipUnreachable("The name could not be resolved.") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not addresses:
            raise SipUnreachable("The name has no address.")
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[key] = (loop.time() + _KEPT_SECONDS, addresses)
        return addresses
