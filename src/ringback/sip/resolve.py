"""From a URI or a name to addresses: literal addresses, and host names by the system's resolver.

NAPTR and SRV (RFC 3263) are not asked: the transport is what the URI says, the port its own or the usual one.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.headers import Via
from ringback.protocols.sip.uri import SipUri, parse_uri
from ringback.resolving import Resolver as Names
from ringback.resolving import SystemResolver
from ringback.sip.model import DEFAULT_PORTS, SipAddress, SipUnreachable, Transport

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
    """Asks the system, once for all who ask at a time; what was found is used on while the name server fails."""

    def __init__(self, names: Names | None = None) -> None:
        self._names = names or SystemResolver()

    async def addresses(self, to: SipAddress) -> list[str]:
        """The addresses of the host, best first, at least one. Raises SipUnreachable."""
        if is_address(to.host):
            return [to.host]
        try:
            found = await self._names.addresses(to.host, urgent=True)
        except (OSError, ValueError) as error:
            raise SipUnreachable("The name could not be resolved.") from error
        if not found:
            raise SipUnreachable("The name has no address.")
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Asks nobody any more."""
        self._names.close()
