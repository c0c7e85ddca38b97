"""Who may send how much: trusted networks, and a bucket for each other address."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network
_MOST_REMEMBERED: Final = 10_000
_IPV6_PREFIX: Final = 64


@lru_cache(maxsize=1024)
def sender_of(host: str) -> str:
    """What stands for the sender: an IPv4 address, or the network of an IPv6 address, which is all one subscriber's."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), _IPV6_PREFIX), strict=False))


class Trusted:
    """The networks that no rate limit holds for. Answers are remembered, since each packet asks."""

    def __init__(self, networks: Iterable[str | Network]) -> None:
        self._networks = [ip_network(one) if isinstance(one, str) else one for one in networks]
        self._known: dict[str, bool] = {}

    def __contains__(self, host: object) -> bool:
        if not isinstance(host, str):
            return False
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            known = self._known[host] = self._holds(host)
        return known

    def _holds(self, host: str) -> bool:
        if not self._networks:
            return False
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


class Buckets:
    """One token bucket for each address, of IPv6 for each network of 64 bits.

    `rate` messages a second, `burst` at once. `rate` 0 = no limit.

    At most so many addresses are remembered: whoever is quiet longest is forgotten first, which only gives them a full
    bucket, so that a flood from many made-up addresses costs memory for nobody.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(burst, rate, 1.0)
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, host: str, now: float) -> bool:
        """Whether one more message of this address is taken."""
        if not self._rate:
            return True
        host = sender_of(host)
        level, since = self._levels.pop(host, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        taken = level >= 1.0
        self._levels[host] = (level - 1.0 if taken else level, now)  # last in the dict: heard of last
        if len(self._levels) > _MOST_REMEMBERED:
            del self._levels[next(iter(self._levels))]
        return taken

    def __len__(self) -> int:
        return len(self._levels)
