"""Whatever comes in whatever order: never an exception, never a wrong match."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.matching import has_cookie
from ringback.protocols.sip.message import Request, Response, parse_message
from ringback.sip import IncomingRequest, SipAddress, SipEndpoint, SipLimits, Timers
from tests.sip.conftest import MakeEndpoint
from tests.sip.peers import Handler, until, write
from tests.sip.requests import request_of

Identity = tuple[object, ...]


class Wire:
    """A way on which everything that is sent is kept."""

    def __init__(self, *, is_reliable: bool) -> None:
        self.is_reliable = is_reliable
        self.is_behind = False
        self.is_closed = False
        self.local = SipAddress("tcp" if is_reliable else "udp", "127.0.0.1", 5070)
        self.sent: list[bytes] = []

    def send(self, data: bytes, peer: object) -> bool:
        del peer
        self.sent.append(data)
        return True


hosts = st.sampled_from(["127.0.0.1", "127.0.0.2"])
messages = st.tuples(
    st.sampled_from(["INVITE", "INVITE", "ACK", "CANCEL", "PRACK", "MESSAGE", "BYE", "OPTIONS", "ODD"]),
    st.fixed_dictionaries(
        {
            "branch": st.sampled_from(["z9hG4bKa", "z9hG4bKb", "old", "z9hG4bK"]),
            "call_id": st.sampled_from(["c1", "c2"]),
            "number": st.integers(1, 2),
            "from_": st.sampled_from(["<sip:a@x>;tag=1", "<sip:a@x>;tag=2", "sip:a@x"]),
            "to": st.sampled_from(["<sip:b@x>", "<sip:b@x>;tag=known", "<sip:b@x>;tag=other"]),
            "hops": st.sampled_from([0, 70]),
            "port": st.sampled_from([5060, 5062]),
        }
    ),
    hosts,
)
damage = st.tuples(st.integers(0, 10_000), st.integers(0, 255), hosts)
WAYS = ("respond", "respond_reliably", "dismiss")
answers = st.tuples(
    st.integers(0, 20), st.sampled_from([100, 180, 183, 200, 302, 404, 487, 603]), st.sampled_from(WAYS)
)
steps = st.lists(st.one_of(messages, messages, damage, answers), max_size=40)


def identity(request: Request, host: str) -> Identity:
    """What must be the same in an INVITE and in the CANCEL or ACK that is about it."""
    via = request.via
    whose = () if has_cookie(via.branch) else (request.uri,)
    return via.branch, via.host, via.port, request.call_id, request.cseq.number, request.from_tag, host, *whose


def written(step: tuple[object, ...], last: bytes) -> tuple[bytes, str]:
    """A message, or a damaged copy of the last one, and where it comes from."""
    if isinstance(step[0], str):
        method, fields, host = step
        return write(method, "RAck: 1 1 INVITE", "Supported: 100rel", **fields), host  # type: ignore[return-value, arg-type]
    place, byte, host = step
    data = bytearray(last or b"\r\n")
    data[place % len(data)] = byte  # type: ignore[operator, call-overload]
    return bytes(data), host  # type: ignore[return-value]


def cancel_in(data: bytes, host: str) -> set[Identity]:
    """The INVITE that these bytes cancel."""
    try:
        read = parse_message(data)
    except SipMalformed:
        return set()
    return {identity(read, host)} if isinstance(read, Request) and read.method == "CANCEL" else set()


def answer(handler: Handler, step: tuple[object, ...]) -> None:
    number, status, way = step
    if handler.requests:
        one = handler.requests[number % len(handler.requests)]  # type: ignore[operator]
        getattr(one, way)(status)  # type: ignore[call-overload]


async def play(story: list[tuple[object, ...]], *, is_reliable: bool) -> None:
    handler = Handler()
    endpoint = SipEndpoint(handler, limits=SipLimits(messages_per_second=0), timers=Timers(t1=100))
    wire = Wire(is_reliable=is_reliable)
    cancels: set[Identity] = set()
    cancelled: list[IncomingRequest] = []
    last = b""
    for step in story:
        known = len(handler.requests)
        if step[2] in WAYS:
            answer(handler, step)
            continue
        last, host = written(step, last)
        cancels |= cancel_in(last, host)
        endpoint.on_data(last, wire, (host, 5060), SipAddress("udp", host, 5060))
        for new in handler.requests[known:]:
            new.on_cancel = partial(cancelled.append, new)
    assert endpoint.counters.refused["handler_failed"] == 0
    assert all(identity(one.request, one.source.host) in cancels for one in cancelled)
    for data in wire.sent:
        if not data.startswith((b"SIP/2.0 400 ", b"SIP/2.0 505 ")):  # those repeat what could not be read
            assert isinstance(parse_message(data), Response)
    unanswered = [one for one in handler.requests if one.request.method == "INVITE" and not one.is_over]
    assert endpoint.held_calls <= len(unanswered)
    for one in handler.requests:
        one.respond(500)
    assert endpoint.held_calls == 0
    await endpoint.close()


@given(story=steps, is_reliable=st.booleans())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_never_an_exception_never_a_wrong_match(story: list[tuple[object, ...]], *, is_reliable: bool) -> None:
    uvloop.run(play(story, is_reliable=is_reliable))


class LossyPath(asyncio.DatagramProtocol):
    """Between a client and a server: loses one datagram of ten each way, and doubles one of ten."""

    def __init__(self, server: tuple[str, int], seed: int) -> None:
        self._server = server
        self._client: tuple[str, int] | None = None
        self._random = random.Random(seed)
        self.lost = self.doubled = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr != self._server:
            self._client = addr
        to = self._server if addr != self._server else self._client
        fate = self._random.random()
        self.lost += fate < 0.1
        self.doubled += fate > 0.9
        for _ in range(0 if fate < 0.1 else 2 if fate > 0.9 else 1):
            self.transport.sendto(data, to)  # type: ignore[attr-defined]


async def test_over_a_path_that_loses_and_doubles_every_call_gets_one_end(make_endpoint: MakeEndpoint) -> None:
    def take(incoming: IncomingRequest) -> None:
        incoming.on_acknowledged = acknowledged.append
        loop.call_later(0.05, incoming.respond, 183)
        loop.call_later(0.1, incoming.respond, 302)

    loop = asyncio.get_running_loop()
    acknowledged: list[bool] = []
    handler = Handler(take)
    server = make_endpoint(handler, timers=Timers(t1=0.1))
    client = make_endpoint(timers=Timers(t1=0.1))
    address = await server.listen("udp", "127.0.0.1", 0)
    await client.listen("udp", "127.0.0.1", 0)
    _, path = await loop.create_datagram_endpoint(
        lambda: LossyPath((address.host, address.port), 7), local_addr=("127.0.0.1", 0)
    )
    finals: list[int] = []
    failures: list[Exception] = []

    def told(response: Response) -> None:
        if response.status >= 200:
            finals.append(response.status)

    for number in range(100):
        request = request_of("INVITE", call_id=f"call-{number}")
        to = SipAddress("udp", "127.0.0.1", path.port)
        await client.start(request, to, on_response=told, on_failure=failures.append)
    await until(lambda: len(finals) + len(failures) == 100)
    assert failures == []
    assert finals == [302] * 100
    await until(lambda: len(acknowledged) == 100)
    assert all(acknowledged)
    assert len(handler.requests) == 100
    assert path.lost > 20
    assert path.doubled > 20
    path.transport.close()
