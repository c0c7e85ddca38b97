"""Senders that nobody knows: they are answered once, and nothing of them stays."""

from __future__ import annotations

import asyncio

import pytest

from ringback.sip import IncomingRequest
from tests.sip.conftest import SHORT, MakeEndpoint, MakePeer
from tests.sip.peers import Handler, until, write


def challenge(incoming: IncomingRequest) -> None:
    assert incoming.dismiss(401, headers=[("WWW-Authenticate", 'Digest realm="r", nonce="n"')])
    assert not incoming.respond(200)
    assert not incoming.dismiss(403)


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
async def test_what_is_dismissed_is_answered_once_and_a_repetition_in_the_same_words(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, method: str
) -> None:
    handler = Handler(challenge)
    endpoint = make_endpoint(handler, timers=SHORT)
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    peer.send(write(method))
    refusal = await peer.response(401)
    assert refusal.to_tag
    assert (endpoint.transactions, endpoint.held_calls) == (0, 0)
    await asyncio.sleep(4 * SHORT.t1)  # more than it would take to be sent again
    assert len(peer.raw) == 1, "the address may be made up: it is not sent the same again and again"
    peer.send(write(method))
    await peer.copies(refusal, 2)
    assert len(handler.requests) == 1


async def test_a_flood_of_those_who_are_dismissed_costs_bounded_memory(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler = Handler(challenge)
    endpoint = make_endpoint(handler, timers=SHORT)
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    first = write("REGISTER", branch="z9hG4bKfirst", call_id="first")
    peer.send(first)
    await until(lambda: handler.requests)
    number = 0
    while len(handler.requests) <= 2_000:
        peer.send(write("REGISTER", branch=f"z9hG4bK{number}", call_id=str(number)))
        number += 1
        await asyncio.sleep(0)
    seen = len(handler.requests)
    peer.send(first)
    await until(lambda: len(handler.requests) > seen)  # forgotten, so it is new
    assert endpoint.transactions == 0


async def test_a_handler_that_answers_promptly_sends_its_100_by_itself(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    def wait(incoming: IncomingRequest) -> None:
        incoming.promptly = True

    handler = Handler(wait)
    endpoint = make_endpoint(handler, timers=SHORT)
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    peer.send(write("INVITE"))
    incoming = await handler.next()
    peer.send(write("INVITE"))  # absorbed
    peer.send(write("OPTIONS", branch="z9hG4bK2", call_id="call-2"))
    await peer.response(200)
    assert len(peer.raw) == 1, "neither has got a 100"
    incoming.respond(100)
    await peer.response(100)
    assert endpoint.held_calls == 1
    incoming.respond(486)
    await peer.response(486)


async def test_a_forged_call_that_is_taken_back_before_it_is_known_leaves_nothing(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    def wait(incoming: IncomingRequest) -> None:
        incoming.promptly = True

    handler = Handler(wait)
    endpoint = make_endpoint(handler, timers=SHORT)
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    peer.send(write("INVITE"))
    incoming = await handler.next()
    told: list[str] = []
    incoming.on_cancel = lambda: told.append("cancelled")
    peer.send(write("CANCEL"))
    await peer.response(200)
    await peer.response(487)
    assert incoming.is_over
    assert told == ["cancelled"]
    assert endpoint.transactions == 0


async def test_a_prack_for_nothing_leaves_nothing(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    endpoint = make_endpoint(Handler(), timers=SHORT)
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    peer.send(write("PRACK", "RAck: 1 1 INVITE"))
    await peer.response(481)
    assert endpoint.transactions == 0
    assert endpoint.counters.refused == {"unmatched_prack": 1}
