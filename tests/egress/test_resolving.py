"""Names that somebody else chose: a slow one delays nobody else, what was found is remembered, and opens nothing."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import pytest

from ringback.egress import CONNECTIONS, Egress
from ringback.errors import DestinationNotAllowed, DestinationUnreachable
from ringback.resolving import FRESH_SECONDS, KEPT, PLACES_OF_AN_OWNER, THREADS, USABLE_SECONDS, SystemResolver
from tests.egress.servers import Listening, NameServers, listening

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


class Room:
    """A way out with a resolver whose steady clock is set by hand, and a server that every good name leads to."""

    def __init__(self, names: NameServers, here: Listening) -> None:
        self.names = names
        self.here = here
        self.now = 1_000.0
        self.resolver = SystemResolver(ask=names, now=lambda: self.now)
        self.egress = Egress(allow=LOOPBACK, ports=[here.port], resolver=self.resolver)
        self.slow: list[asyncio.Task[Any]] = []

    async def ask(self, host: str, *, owner: str = "bank", seconds: float = 60, urgent: bool = False) -> int:
        """One request; returns its status."""
        url = f"http://{host}:{self.here.port}/"
        answer = await self.egress.request("POST", url, timeout_seconds=seconds, owner=owner, urgent=urgent)
        return answer.status

    async def tarpit(self, count: int, *, asked: int, owner: str, urgent: bool = False, seconds: float = 600) -> None:
        """So many requests to as many names that are slow; until so many slow names are asked for, and no more."""
        for number in range(count):
            host = f"{owner}{number}{urgent}.tarpit.example"
            self.slow.append(asyncio.create_task(self.ask(host, owner=owner, seconds=seconds, urgent=urgent)))
        await self.until_asked(asked)
        assert self.slow_names == asked

    async def until_asked(self, count: int) -> None:
        """Until so many slow names were asked for."""
        async with asyncio.timeout(60):
            while self.slow_names < count:  # noqa: ASYNC110 - they are asked for in threads
                await asyncio.sleep(0.01)

    @property
    def slow_names(self) -> int:
        """How many slow names were asked for."""
        return sum(name.endswith(".tarpit.example") for name in self.names.asked)


@pytest.fixture
def names() -> Iterator[NameServers]:
    made = NameServers()
    yield made
    made.gives_up.set()


@pytest.fixture
async def room(names: NameServers) -> AsyncIterator[Room]:
    async with listening() as here:
        made = Room(names, here)
        yield made
        names.gives_up.set()
        await asyncio.gather(*made.slow, return_exceptions=True)
        await made.egress.close()


def asked_of(owners: int, each: int) -> int:
    """How many lookups run when owners came one after the other, each with so many or more: the last get one each."""
    alike = THREADS - KEPT
    return min(owners * each, alike + max(0, owners - alike // each), THREADS)


async def is_not_delayed(room: Room, asking: Awaitable[int]) -> None:
    """It is answered while the slow names are still slow."""
    assert await asking == 200
    assert not room.names.gives_up.is_set()
    assert not any(one.done() for one in room.slow)


@pytest.mark.parametrize("urgent", [False, True])
async def test_slow_names_of_one_app_do_not_delay_another(room: Room, urgent: bool) -> None:
    await room.tarpit(2 * CONNECTIONS, asked=PLACES_OF_AN_OWNER, owner="evil", urgent=urgent)
    await is_not_delayed(room, room.ask("good.example", urgent=False))
    await is_not_delayed(room, room.ask("better.example", urgent=True))
    await is_not_delayed(room, room.ask("nobodys.example", owner=""))
    assert room.slow_names == PLACES_OF_AN_OWNER


@pytest.mark.parametrize("urgent", [False, True])
async def test_slow_names_of_a_few_apps_together_do_not_delay_another(room: Room, urgent: bool) -> None:
    for number in range(THREADS // PLACES_OF_AN_OWNER):
        asked = asked_of(number + 1, PLACES_OF_AN_OWNER)
        await room.tarpit(2 * PLACES_OF_AN_OWNER, asked=asked, owner=f"evil{number}", urgent=urgent)
    for name in ("good", "better"):
        await is_not_delayed(room, room.ask(f"{name}.example", owner="shop", urgent=urgent))
    both = await asyncio.gather(*(room.ask(f"{name}.example", owner="shop") for name in ("fine", "finer")))
    assert both == [200, 200]
    await is_not_delayed(room, room.ask("nobodys.example", owner="", urgent=urgent))


async def test_slow_names_of_an_app_do_not_delay_its_urgent_requests(room: Room) -> None:
    await room.tarpit(100, asked=PLACES_OF_AN_OWNER, owner="bank")
    await is_not_delayed(room, room.ask("good.example", urgent=True))


async def test_slow_names_of_many_apps_do_not_delay_urgent_requests(room: Room) -> None:
    for number in range(THREADS):
        await room.tarpit(2, asked=asked_of(number + 1, 2), owner=f"evil{number}")
    waiting = asyncio.create_task(room.ask("good.example"))
    await is_not_delayed(room, room.ask("good.example", urgent=True))
    room.names.gives_up.set()
    assert await waiting == 200


async def test_urgent_requests_to_a_name_that_answered_before_wait_for_no_slow_one(room: Room) -> None:
    await room.ask("good.example", owner="shop")
    room.now += FRESH_SECONDS
    await room.tarpit(100, asked=PLACES_OF_AN_OWNER, owner="bank", urgent=True)
    await is_not_delayed(room, room.ask("good.example", urgent=True))


async def test_a_slow_name_keeps_one_thread_however_many_ask_for_it_and_however_often(room: Room) -> None:
    for _ in range(20):
        room.slow.append(asyncio.create_task(room.ask("a.tarpit.example", seconds=0.1)))
    await asyncio.wait(room.slow)
    await room.until_asked(1)
    assert room.names.asked == ["a.tarpit.example"]
    assert await room.ask("good.example") == 200
    assert not room.names.gives_up.is_set()


async def test_a_place_is_taken_until_the_thread_is_free(room: Room) -> None:
    await room.tarpit(PLACES_OF_AN_OWNER, asked=PLACES_OF_AN_OWNER, owner="bank", seconds=0.1)
    await asyncio.wait(room.slow)  # they are gone, their threads are not
    with pytest.raises(DestinationUnreachable, match="in time"):
        await room.ask("good.example", seconds=0.2)
    room.names.gives_up.set()
    assert await room.ask("good.example") == 200


async def test_a_name_that_failed_is_left_alone_for_as_long_as_that_took(room: Room) -> None:
    await room.tarpit(1, asked=1, owner="bank")
    room.now += 20
    room.names.gives_up.set()
    await asyncio.wait(room.slow)
    for elapsed, asked in ((0, 1), (19, 1), (1, 2)):
        room.now += elapsed
        with pytest.raises(DestinationUnreachable, match="No connection"):
            await room.ask(room.names.asked[0])
        assert len(room.names.asked) == asked


async def test_a_name_that_failed_at_once_is_asked_for_again_at_once(room: Room) -> None:
    room.names.fails = True
    with pytest.raises(DestinationUnreachable, match="No connection"):
        await room.ask("good.example")
    room.names.fails = False
    assert await room.ask("good.example") == 200


async def test_what_was_found_is_remembered_for_a_minute_and_longer_where_the_name_server_fails(room: Room) -> None:
    assert await asyncio.gather(*(room.ask("good.example", owner=str(number)) for number in range(20))) == [200] * 20
    assert room.names.asked == ["good.example"]
    room.now += FRESH_SECONDS - 1
    assert await room.ask("good.example") == 200
    assert room.names.asked == ["good.example"]
    room.now += 1
    assert await room.ask("good.example") == 200
    assert room.names.asked == ["good.example"] * 2
    room.names.fails = True
    room.now += USABLE_SECONDS - 1
    assert await room.ask("good.example") == 200
    room.now += 1
    with pytest.raises(DestinationUnreachable):
        await room.ask("good.example")


async def test_a_name_that_changes_its_address_gains_nothing_whether_it_is_remembered_or_not(room: Room) -> None:
    guarded = Egress(ports=[room.here.port], resolver=room.resolver)
    url = f"https://rebind.example:{room.here.port}/"
    room.names.address = "93.184.215.14"
    with pytest.raises(DestinationUnreachable):  # the public address does not answer in this time
        await guarded.request("GET", url, timeout_seconds=0.3)
    room.names.address = "127.0.0.1"
    with pytest.raises(DestinationUnreachable):  # what is remembered is what is connected to
        await guarded.request("GET", url, timeout_seconds=0.3)
    room.now += FRESH_SECONDS
    for _ in range(2):
        with pytest.raises(DestinationNotAllowed):
            await guarded.request("GET", url, timeout_seconds=60)
    await guarded.close()
    assert (len(room.names.asked), room.here.connections) == (2, 0)


async def test_what_cannot_be_a_name_is_unreachable(room: Room) -> None:
    system = Egress(allow=LOOPBACK)
    for host in ("a..example", "x" * 64 + ".example"):
        with pytest.raises(DestinationUnreachable):
            await system.request("GET", f"http://{host}:{room.here.port}/", timeout_seconds=60)
    await system.close()
