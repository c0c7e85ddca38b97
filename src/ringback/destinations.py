"""Which addresses the server may call when somebody else chose the URL.

Three tiers. *Public* addresses are reached over https on the configured ports. *Private* ones (RFC 1918, CGNAT, unique
local) need a network of the allow-list that holds them. *Forbidden* ones (loopback, link-local, metadata services,
multicast, reserved, documentation …) need an entry that lies inside the forbidden range, so that `0.0.0.0/0` does not
open 127.0.0.1 by the way. An IPv6 address that carries an IPv4 address is judged as the IPv4 address.

Sources: IANA special-purpose address registries, RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import TypeAlias

from yarl import URL

from ringback.errors import DestinationNotAllowed

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL = 2_048
LAST_CONTROL = 0x20


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in text.split())


PRIVATE = _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7")
FORBIDDEN = _networks(
    # this network, loopback, link-local, IETF assignments, documentation, 6to4 relays, benchmarking, multicast and
    # reserved
    "0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 192.88.99.0/24"
    " 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4"
    # metadata services of clouds that are not link-local
    " 168.63.129.16/32 100.100.100.200/32 fd00:ec2::254/128 fd20:ce::254/128"
    # everything outside 2000::/3 except fc00::/7, with the ranges that an operator may name
    " ::/128 ::1/128 ::/3 4000::/2 8000::/2 c000::/3 e000::/4 f000::/5 f800::/6 fe00::/9"
    " 64:ff9b:1::/48 fe80::/10 fec0::/10 ff00::/8"
    # inside 2000::/3: IETF assignments, documentation
    " 2001::/23 2001:db8::/32 3fff::/20"
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SITE_ITSELF = (ipaddress.IPv6Address("::"), ipaddress.IPv6Address("::1"))


class Destinations:
    """The policy. `allow`: the networks of RINGBACK_EGRESS_ALLOW; `ports`: those that any other address may have."""

    def __init__(self, allow: Iterable[Network] = (), ports: Iterable[int] = (443,)) -> None:
        self._allow = tuple(allow)
        self._ports = frozenset(ports)

    def check_address(self, text: str, port: int, *, secure: bool) -> None:
        """An address as the resolver gave it, just before the connection. Raises DestinationNotAllowed."""
        address = judged(ipaddress.ip_address(text.partition("%")[0]))
        if self._is_listed(address):
            return
        if _holding(address, (*FORBIDDEN, *PRIVATE)) or not secure or port not in self._ports:
            raise DestinationNotAllowed

    def check_url(self, text: str) -> URL:
        """What can be said before a name is resolved: for the moment when a URL is saved, and before each request.

        Raises DestinationNotAllowed.
        """
        url = _parse(text)
        host, secure, port = url.host or "", url.scheme == "https", url.port or 0
        if (literal := _literal(host)) is not None:
            self.check_address(str(literal), port, secure=secure)
        elif not self._allow and (not secure or port not in self._ports):
            raise DestinationNotAllowed
        return url

    def _is_listed(self, address: Address) -> bool:
        """Whether the allow-list opens the address: by an entry that holds it and is inside all it is forbidden by."""
        forbidding = _holding(address, FORBIDDEN)
        return any(all(_inside(entry, range_) for range_ in forbidding) for entry in _holding(address, self._allow))


def judged(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    address = ipaddress.IPv6Address(int(address))  # without a zone
    if address in _MAPPED or address in _NAT64 or (address in _COMPATIBLE and address not in _SITE_ITSELF):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    return address.teredo[1] if address.teredo is not None else address


def _holding(address: Address, networks: Iterable[Network]) -> list[Network]:
    return [network for network in networks if network.version == address.version and address in network]


def _inside(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def _parse(text: str) -> URL:
    """An absolute http(s) URL without user information and fragment."""
    if len(text) > MAX_URL or "\\" in text or any(ord(letter) <= LAST_CONTROL or letter == "\x7f" for letter in text):
        raise DestinationNotAllowed
    try:
        url = URL(text)
        port = url.port
    except (ValueError, TypeError) as error:
        raise DestinationNotAllowed(cause=error) from error
    has_user = "@" in re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]  # also an empty one
    if url.scheme not in ("http", "https") or not url.host or not port or has_user or "#" in text:
        raise DestinationNotAllowed
    return url


def _literal(host: str) -> Address | None:
    """The address that a host means without a resolver, in every spelling that the C library takes (127.1, 0x7f.1)."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        return None
