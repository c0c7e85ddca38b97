"""Names of proxies: asked for by the system's resolver, and good for a while when the name server is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ringback.resolving import FRESH_SECONDS, USABLE_SECONDS, SystemResolver
from ringback.sip import SipAddress, SipUnreachable
from ringback.sip.resolve import Resolver
from tests.egress.servers import NameServers

PROXY = SipAddress("udp", "proxy.example.org", 5060)


@pytest.fixture
def names() -> Iterator[NameServers]:
    made = NameServers()
    yield made
    made.gives_up.set()


async def test_a_name_stays_usable_while_its_name_server_fails(names: NameServers) -> None:
    now = 1_000.0
    resolver = Resolver(SystemResolver(ask=names, now=lambda: now))
    assert await resolver.addresses(PROXY) == ["127.0.0.1"]
    names.fails = True
    now += FRESH_SECONDS + 1
    assert await resolver.addresses(PROXY) == ["127.0.0.1"]
    names.fails, names.address = False, "127.0.0.2"
    now += 1
    assert await resolver.addresses(PROXY) == ["127.0.0.2"], "it has moved"
    names.fails = True
    now += USABLE_SECONDS + 1
    with pytest.raises(SipUnreachable):
        await resolver.addresses(PROXY)
    resolver.close()


async def test_many_calls_at_once_ask_once(names: NameServers) -> None:
    resolver = Resolver(SystemResolver(ask=names))
    found = await asyncio.gather(*(resolver.addresses(PROXY) for _ in range(50)))
    assert found == [["127.0.0.1"]] * 50
    assert names.asked == [PROXY.host]
    resolver.close()
