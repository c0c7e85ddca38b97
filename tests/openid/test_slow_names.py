"""OpenID providers whose name servers never answer: they are felt by the app that named them, and by no other."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ringback.clock import ManualClock
from ringback.egress import Egress
from ringback.errors import OpenIdRefused
from ringback.openid import Client, OpenIdClient
from ringback.resolving import PLACES_OF_AN_OWNER, THREADS, SystemResolver
from tests.egress.servers import Listening, NameServers, listening

Ask = Callable[[OpenIdClient, str], Awaitable[object]]


async def discover(openid: OpenIdClient, issuer: str) -> object:
    return await openid.metadata(issuer, owner="evil")


async def exchange(openid: OpenIdClient, issuer: str) -> object:
    client = Client("mobile", "secret")
    return await openid.exchange(issuer, client, code="c", redirect_uri="r", code_verifier=None, owner="evil")


@pytest.fixture
async def provider() -> AsyncIterator[Listening]:
    async with listening() as here:
        yield here


@contextlib.asynccontextmanager
async def slow_providers(names: NameServers, provider: Listening, ask: Ask) -> AsyncIterator[OpenIdClient]:
    """The app `evil` has asked for more providers than there are places for all apps together."""
    egress = Egress(
        allow=[ipaddress.ip_network("127.0.0.0/8")], ports=[provider.port], resolver=SystemResolver(ask=names)
    )
    openid = OpenIdClient(egress=egress, clock=ManualClock(1_800_000_000_000))
    slow = [
        asyncio.ensure_future(ask(openid, f"http://{number}.tarpit.example:{provider.port}"))
        for number in range(2 * THREADS)
    ]
    try:
        while len(names.asked) < PLACES_OF_AN_OWNER and not any(task.done() for task in slow):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the names are looked up in threads
        yield openid
    finally:
        names.gives_up.set()
        await asyncio.gather(*slow, return_exceptions=True)
        await egress.close()


@pytest.mark.parametrize("ask", [discover, exchange])
async def test_slow_providers_of_one_app_delay_no_other(provider: Listening, ask: Ask) -> None:
    names = NameServers()
    async with slow_providers(names, provider, ask) as openid:
        with pytest.raises(OpenIdRefused, match="shape"):  # it was asked, and answers nonsense
            await openid.metadata(f"http://good.example:{provider.port}", owner="bank")
        assert len([name for name in names.asked if "tarpit" in name]) == PLACES_OF_AN_OWNER


async def test_an_app_that_names_the_provider_of_another_does_not_hold_it_up(provider: Listening) -> None:
    async with slow_providers(NameServers(), provider, discover) as openid:
        issuer = f"http://good.example:{provider.port}"
        waiting = asyncio.ensure_future(openid.metadata(issuer, owner="evil"))
        await asyncio.sleep(0)
        with pytest.raises(OpenIdRefused, match="shape"):
            await openid.metadata(issuer, owner="bank")
        waiting.cancel()
