"""The parts of an endpoint by themselves: the wheel of timers, trust and buckets, names and URIs."""

from __future__ import annotations

import asyncio
import gc
import math

import pytest

from ringback.sip import HERE, IncomingRequest, SipAddress, SipUnreachable, Trusted, next_hop
from ringback.sip.limits import Buckets
from ringback.sip.replies import Replies
from ringback.sip.resolve import Resolver
from ringback.sip.wheel import Wheel
from tests.sip.conftest import MakeEndpoint
from tests.sip.peers import Handler, until, write


class Alarm:
    """Something in the wheel, due once or several times."""

    def __init__(self, name: str, due: float, rung: list[str], *, fails: bool = False, again: float = 0) -> None:
        self.name, self.due, self.tick = name, due, 0
        self._rung, self._fails, self._again = rung, fails, again

    def on_time(self, now: float) -> None:
        assert now >= self.due, "never early"
        self._rung.append(self.name)
        self.due = now + self._again if self._again else math.inf
        if self._fails:
            raise RuntimeError(self.name)


async def test_alarms_ring_in_their_order_whatever_order_they_were_set_in() -> None:
    loop = asyncio.get_running_loop()
    wheel, rung = Wheel(loop, lambda _: None), list[str]()
    now = loop.time()
    for name, seconds in [("c", 0.15), ("a", 0.01), ("d", 0.2), ("b", 0.1), ("past", -5)]:
        wheel.place(Alarm(name, now + seconds, rung))
    await until(lambda: len(rung) == 5)
    assert rung == ["past", "a", "b", "c", "d"]


async def test_what_was_moved_rings_at_its_new_time_and_what_was_taken_out_never() -> None:
    loop = asyncio.get_running_loop()
    wheel, rung = Wheel(loop, lambda _: None), list[str]()
    now = loop.time()
    later, sooner, never = (Alarm(name, now + 0.1, rung) for name in ("later", "sooner", "never"))
    for alarm in (later, sooner, never):
        wheel.place(alarm)
    later.due, sooner.due, never.due = now + 0.3, now + 0.02, math.inf
    for alarm in (later, sooner, never):
        wheel.place(alarm)
    wheel.place(Alarm("between", now + 0.2, rung))
    await until(lambda: len(rung) == 3)
    assert rung == ["sooner", "between", "later"]


async def test_one_that_fails_stops_no_other() -> None:
    loop = asyncio.get_running_loop()
    errors: list[Exception] = []
    wheel, rung = Wheel(loop, errors.append), list[str]()
    for number in range(500):
        wheel.place(Alarm(str(number), loop.time(), rung, fails=number % 100 == 0))
    await until(lambda: len(rung) == 500)
    assert len(errors) == 5


async def test_one_that_is_always_due_does_not_hold_the_loop() -> None:
    loop = asyncio.get_running_loop()
    wheel, rung = Wheel(loop, lambda _: None), list[str]()
    wheel.place(Alarm("busy", loop.time(), rung, again=1e-9))
    await until(lambda: len(rung) > 5)
    wheel.close()
    count = len(rung)
    await asyncio.sleep(0.05)
    assert len(rung) == count, "a closed wheel stands still"


async def test_what_is_forgotten_is_held_no_longer(make_endpoint: MakeEndpoint) -> None:
    handler = Handler()
    endpoint = make_endpoint(handler)

    class Nowhere:
        is_reliable = is_behind = is_closed = False
        local = SipAddress("udp", "127.0.0.1", 5070)

        def send(self, data: bytes, peer: object) -> bool:
            del data, peer
            return True

    def call(number: int) -> None:
        fields = {"branch": f"z9hG4bK{number}", "call_id": f"call-{number}"}
        source = SipAddress("udp", "127.0.0.1", 5060)
        endpoint.on_data(write("INVITE", **fields), Nowhere(), ("127.0.0.1", 5060), source)  # type: ignore[arg-type]
        incoming = handler.requests.pop()
        incoming.respond(183)
        incoming.respond(302)
        to = f"<sip:b@x>;tag={incoming.to_tag}"
        endpoint.on_data(write("ACK", to=to, **fields), Nowhere(), ("127.0.0.1", 5060), source)  # type: ignore[arg-type]
        endpoint.wheel.place(incoming)
        incoming.due = endpoint.timers.t4  # long ago
        endpoint.wheel.place(incoming)

    for number in range(200):
        call(number)
    await until(lambda: endpoint.transactions == 0)
    gc.collect()
    assert not any(isinstance(one, IncomingRequest) for one in gc.get_objects())


def test_networks_are_trusted_whatever_the_address_is_written_like() -> None:
    trusted = Trusted(["192.0.2.0/24", "2001:db8::/32"])
    for host in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "2001:db8::1%eth0"):
        assert host in trusted
        assert host in trusted
    for host in ("192.0.3.7", "2001:db9::1", "name.example.org", ""):
        assert host not in trusted
    assert "127.0.0.1" not in Trusted([])


def test_a_bucket_fills_again() -> None:
    buckets = Buckets(2.0, 3.0)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b", 0.0)
    assert [buckets.take("a", 1.0) for _ in range(3)] == [True, True, False]
    assert [buckets.take("a", 100.0) for _ in range(4)] == [True, True, True, False]
    assert all(Buckets(0, 0).take("a", 0.0) for _ in range(1000))


def test_whoever_has_a_network_of_ipv6_has_one_bucket() -> None:
    buckets = Buckets(1.0, 2.0)
    found = [buckets.take(f"2001:db8::{number:x}", 0.0) for number in range(1, 5)]
    assert found == [True, True, False, False]
    assert buckets.take("2001:db8:0:1::1", 0.0)
    assert buckets.take("fe80::1%eth0", 0.0)


def test_a_flood_from_many_addresses_costs_bounded_memory() -> None:
    buckets = Buckets(1.0, 1.0)
    for number in range(30_000):
        buckets.take(str(number), 0.0)
    assert len(buckets) == 10_000


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:bob@example.org", SipAddress("udp", "example.org", 5060)),
        ("sip:192.0.2.1:5070;transport=TCP", SipAddress("tcp", "192.0.2.1", 5070)),
        ("sip:bob@[2001:db8::1];transport=tls", SipAddress("tls", "2001:db8::1", 5061)),
        ("sips:bob@example.org;transport=tcp", SipAddress("tls", "example.org", 5061)),
        ("sip:example.org;maddr=192.0.2.99", SipAddress("udp", "example.org", 5060)),
    ],
)
def test_where_a_uri_leads(uri: str, expected: SipAddress) -> None:
    assert next_hop(uri) == expected


@pytest.mark.parametrize("uri", ["tel:+15551234", "mailto:a@example.org", "sip:", "sip:a@x;transport=sctp", "*", ""])
def test_where_no_uri_leads(uri: str) -> None:
    with pytest.raises(SipUnreachable):
        next_hop(uri)


async def test_names_are_resolved_and_remembered() -> None:
    resolver = Resolver()
    place = SipAddress("udp", "localhost", 5060)
    assert set(await resolver.addresses(place)) <= {"127.0.0.1", "::1"}
    assert await resolver.addresses(SipAddress("udp", "2001:db8::1", 5060)) == ["2001:db8::1"]
    for name in (HERE, "x" * 300, "a..b"):
        with pytest.raises(SipUnreachable):
            await resolver.addresses(SipAddress("udp", name, 5060))


def test_an_address_is_shown_as_one_word() -> None:
    assert str(SipAddress("tls", "2001:db8::1", 5061)) == "tls:[2001:db8::1]:5061"


async def test_an_answer_is_kept_for_repetitions_until_its_time_and_forgotten_with_its_neighbours() -> None:
    loop = asyncio.get_running_loop()
    replies = Replies(Wheel(loop, lambda _: None), 0.1)
    now = loop.time()
    for number in range(20):
        replies.keep(str(number), b"200", now + 0.1 + number / 1000)
    replies.keep("later", b"202", now + 30)
    assert (replies.get("0"), replies.get("later"), replies.get("other")) == (b"200", b"202", None)
    await until(lambda: len(replies) == 1)
    assert loop.time() >= now + 0.1
    assert replies.get("later") == b"202"
