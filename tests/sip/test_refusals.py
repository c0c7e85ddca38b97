"""What is refused before any handler hears of it: bad messages, loops, floods, too much; one figure for each."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from ringback.sip import IncomingRequest, SipCounters, SipEndpoint
from tests.sip.conftest import MakeEndpoint, MakePeer
from tests.sip.peers import Handler, UdpPeer, until, write
from tests.sip.requests import request_of, spawn


async def start(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, **options: object
) -> tuple[Handler, SipEndpoint, UdpPeer]:
    handler = Handler()
    endpoint = make_endpoint(handler, **options)
    return handler, endpoint, await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (write("INVITE").replace(b"CSeq: 1 INVITE", b"CSeq: 1 OPTIONS"), 400),
        (write("INVITE").replace(b"Max-Forwards: 70", b"Max-Forwards: 300"), 400),
        (write("INVITE").replace(b"Content-Length: 0", b"Content-Length: 99"), 400),
        (write("INVITE").replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), 505),
        (write("OPTIONS").replace(b"SIP/2.0", b"SIP/7.0"), 505),
        (write("INVITE", "Call-ID: two"), 400),
        (write("OPTIONS", uri="nobodyKnowsThisScheme:totallyopaquecontent"), 416),
        (write("OPTIONS", uri="soap.beep://192.0.2.103:3002"), 416),
        (write("OPTIONS", uri="sip:bob@ex(ample"), 400),
        (write("REGISTER", hops=0), 483),
        (write("TELEPORT"), 501),
        (write("TELEPORT", to='"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f" <sip:bob@example.org>'), 501),
        (write("INVITE", "Require: 100rel, unheard-of"), 420),
        (write("CANCEL"), 481),
    ],
)
async def test_the_right_refusal_and_nothing_moves(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, data: bytes, status: int
) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of)
    peer.send(data)
    refusal = await peer.response(status)
    assert refusal.to_tag is not None
    peer.send(data)
    await peer.copies(refusal, 2)
    assert endpoint.counters.refused.total() == 2
    assert endpoint.transactions == 0
    assert handler.requests == []


async def test_a_number_that_is_too_large_is_refused_in_the_sender_s_own_words(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    _, endpoint, peer = await start(make_endpoint, peer_of)
    raw: list[bytes] = []
    peer.took = raw.append  # type: ignore[method-assign]  # what comes back cannot be read either
    peer.send(write("INVITE", port=peer.port).replace(b"CSeq: 1", b"CSeq: 4294967296"))
    await until(lambda: raw)
    assert raw[0].startswith(b"SIP/2.0 400 ")
    assert b"CSeq: 4294967296 INVITE\r\n" in raw[0]
    assert endpoint.counters.refused == {"malformed": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0",
        b"\0" * 3000,
        b"hello",
        b"\xff\xfe" * 500,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 200\r\nVia: nonsense\r\n\r\n",
        write("INVITE").replace(b"Call-ID", b"X-Call-ID"),
        write("INVITE").replace(b"From", b"X-From"),
        write("INVITE").replace(b"Via", b"X-Via"),
        write("ACK").replace(b"CSeq: 1 ACK", b"CSeq: 1 INVITE"),
        write("ACK"),
        write("INVITE")[:80],
    ],
)
async def test_what_cannot_be_answered_is_met_with_silence(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, data: bytes
) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of)
    peer.send(data)
    await peer.nothing()
    assert handler.requests == []
    assert endpoint.transactions == 0
    assert endpoint.counters.refused["handler_failed"] == 0


async def test_options_are_answered_here(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    _, _, peer = await start(make_endpoint, peer_of, methods=["INVITE", "NOTIFY"])
    peer.send(write("OPTIONS", hops=0, port=peer.port))
    answer = await peer.response(200)
    assert answer.headers.get("Allow") == "INVITE, ACK, CANCEL, PRACK, OPTIONS, NOTIFY"
    assert answer.headers.get("Accept") == "application/sdp"
    assert answer.headers.get("Supported") == "100rel"


async def test_methods_that_the_handler_does_not_take_are_not_allowed(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of, methods=["INVITE", "NOTIFY"])
    peer.send(write("MESSAGE", port=peer.port))
    refusal = await peer.response(405)
    assert "NOTIFY" in (refusal.headers.get("Allow") or "")
    peer.send(write("NOTIFY", branch="z9hG4bK2", port=peer.port))
    await handler.next()
    assert endpoint.counters.refused == {"method": 1}


async def test_unknown_extensions_are_named(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    _, _, peer = await start(make_endpoint, peer_of)
    peer.send(write("INVITE", "Require: 100rel, one", "Require: two", port=peer.port))
    assert (await peer.response(420)).headers.get("Unsupported") == "one, two"


async def test_the_same_request_by_another_way_is_a_merged_one(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of)
    peer.send(write("INVITE", port=peer.port))
    await peer.response(100)
    peer.send(write("INVITE", branch="z9hG4bKother", port=peer.port))
    await peer.response(482)
    peer.send(write("INVITE", branch="z9hG4bKthird", uri="sip:another@phone.example.org", port=peer.port))
    await peer.response(100)
    assert len(handler.requests) == 2
    assert endpoint.counters.refused == {"merged": 1}
    handler.requests[0].respond(302)
    await peer.response(302)
    peer.send(write("INVITE", branch="z9hG4bKlater", port=peer.port))
    await handler.next(3)


async def test_our_own_request_that_comes_back_is_a_loop(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of)
    task = spawn(endpoint.send(request_of("MESSAGE"), peer.address))
    ours = await peer.request("MESSAGE")
    ours.headers.prepend("Via", f"SIP/2.0/UDP 127.0.0.1:{peer.port};branch=z9hG4bKproxy;rport")
    peer.send(ours.encode())
    await peer.response(482)
    task.cancel()
    assert endpoint.counters.refused == {"loop": 1}
    assert handler.requests == []


async def test_phones_may_call_themselves(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of, takes_own_requests=True)
    task = spawn(endpoint.send(request_of("MESSAGE"), peer.address))
    ours = await peer.request("MESSAGE")
    ours.headers.prepend("Via", f"SIP/2.0/UDP 127.0.0.1:{peer.port};branch=z9hG4bKproxy;rport")
    peer.send(ours.encode())
    await handler.next()
    task.cancel()


async def test_above_the_call_limit_others_are_told_when_to_come_again(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of, calls=2)
    for number in range(3):
        peer.send(write("INVITE", branch=f"z9hG4bK{number}", call_id=f"call-{number}", port=peer.port))
    statuses = {}
    for _ in range(3):
        answer = await peer.message()
        statuses[answer.call_id] = answer
    refusal = statuses["call-2"]
    assert refusal.headers.get("Retry-After") == "5"
    assert endpoint.counters.refused == {"calls": 1}
    assert endpoint.held_calls == 2
    peer.send(write("ACK", branch="z9hG4bK2", call_id="call-2", to=f"<sip:b@x>;tag={refusal.to_tag}", port=peer.port))
    handler.requests[0].respond(480)
    await peer.response(480)
    peer.send(write("INVITE", branch="z9hG4bK9", call_id="call-9", port=peer.port))
    assert (await handler.next(3)).request.call_id == "call-9"


async def test_too_many_transactions_are_refused(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of, transactions=1)
    peer.send(write("MESSAGE", port=peer.port))
    await handler.next()
    peer.send(write("MESSAGE", branch="z9hG4bK2", call_id="two", port=peer.port))
    assert (await peer.response(503)).headers.get("Retry-After") == "5"
    assert endpoint.counters.refused == {"transactions": 1}


async def test_a_flood_from_one_address_is_met_with_silence(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    _, endpoint, peer = await start(make_endpoint, peer_of, messages_per_second=0.001, messages_at_once=3)
    for number in range(10):
        peer.send(write("OPTIONS", branch=f"z9hG4bK{number}", call_id=str(number), port=peer.port))
    await until(lambda: endpoint.counters.received == 10)
    await until(lambda: len(peer.raw) == 3)
    assert endpoint.counters.refused == {"rate": 7}


async def test_a_flood_of_answers_is_met_with_silence_too(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    _, endpoint, peer = await start(make_endpoint, peer_of, messages_per_second=0.001, messages_at_once=3)
    for _ in range(10):
        peer.send(b"SIP/2.0 200 OK\r\n" + write("OPTIONS").partition(b"\r\n")[2])
    await until(lambda: endpoint.counters.received == 10)
    assert endpoint.counters.refused == {"rate": 7, "unmatched_response": 3}


async def test_trusted_networks_have_no_rate(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    _, endpoint, peer = await start(
        make_endpoint, peer_of, messages_per_second=0.001, messages_at_once=1, trusted=["127.0.0.0/8"]
    )
    for number in range(10):
        peer.send(write("OPTIONS", branch=f"z9hG4bK{number}", call_id=str(number), port=peer.port))
    await until(lambda: len(peer.raw) == 10)
    assert endpoint.counters.refused == {}


async def test_a_message_that_is_too_long_is_refused_by_its_beginning(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of, message_bytes=1000)
    peer.send(write("MESSAGE", body=b"x" * 2000, port=peer.port))
    await peer.response(513)
    peer.send(write("MESSAGE", "X: " + "y" * 2000, port=peer.port, call_id="long-header"))
    await until(lambda: endpoint.counters.refused["oversize"] == 2)
    peer.send(b"\xff" * 2000)
    await until(lambda: endpoint.counters.refused["oversize"] == 3)
    assert handler.requests == []


async def test_a_handler_that_fails_is_answered_500_and_the_next_request_is_handled(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(incoming: IncomingRequest) -> None:
        if incoming.request.call_id == "bad":
            raise RuntimeError("a mistake")
        incoming.respond(200, headers=[("X", "y")])

    endpoint = make_endpoint(Handler(fail))
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    peer.send(write("INVITE", call_id="bad", port=peer.port))
    await peer.response(500)
    peer.send(write("MESSAGE", port=peer.port))
    await peer.response(200)
    assert endpoint.counters.refused == {"handler_failed": 1}
    assert "a mistake" in caplog.text


async def test_a_header_field_cannot_start_a_new_line(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    handler, _, peer = await start(make_endpoint, peer_of)
    peer.send(write("MESSAGE", port=peer.port))
    incoming = await handler.next()
    with pytest.raises(ValueError, match="control"):
        incoming.respond(200, headers=[("X", "y\r\nZ: z")])
    assert incoming.respond(200)
    await peer.response(200)


async def test_when_the_endpoint_stops_new_calls_are_refused_and_old_ones_are_finished(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler, endpoint, peer = await start(make_endpoint, peer_of)
    peer.send(write("INVITE", port=peer.port))
    await peer.response(100)
    closing = spawn(endpoint.close(20))
    await asyncio.sleep(0)
    peer.send(write("INVITE", branch="z9hG4bK2", call_id="new", port=peer.port))
    assert (await peer.response(503)).call_id == "new"
    handler.requests[0].respond(480)
    final = await peer.response(480)
    assert not closing.done()
    peer.send(write("ACK", to=f"<sip:bob@example.org>;tag={final.to_tag}", port=peer.port))
    await closing
    assert endpoint.counters.refused == {"draining": 1}


async def test_the_figures_are_in_the_metrics(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    def shown() -> float:
        return REGISTRY.get_sample_value("ringback_sip_refused_total", {"reason": "hops"}) or 0.0

    before = shown()
    _, _, peer = await start(make_endpoint, peer_of, counters=SipCounters(exported=True))
    peer.send(write("INVITE", hops=0, port=peer.port))
    await peer.response(483)
    assert shown() == before + 1
