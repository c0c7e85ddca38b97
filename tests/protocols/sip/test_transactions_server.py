"""The server's transactions, timer by timer, with a clock that is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.sip.transactions import NEVER, ServerInvite, ServerRequest, State, Timers

T = Timers()


def all_sent(machine: ServerInvite | ServerRequest, until: float) -> list[float]:
    """Runs the machine's timers up to a moment; when it sent something again."""
    sent = []
    while machine.due <= until:
        now = machine.due
        if machine.on_time(now) is not None:
            sent.append(now)
    return sent


def test_a_refusal_is_repeated_with_doubling_pauses_up_to_t2_until_timer_h() -> None:
    invite = ServerInvite(T, reliable=False)
    assert invite.respond(302, b"302", 0.0)
    assert all_sent(invite, 100.0) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert invite.state is State.TERMINATED
    assert not invite.is_acknowledged


def test_timer_h_is_at_64_t1_exactly() -> None:
    invite = ServerInvite(T, reliable=False)
    invite.respond(480, b"480", 10.0)
    while invite.state is not State.TERMINATED:
        last = invite.due
        invite.on_time(last)
    assert last == 42.0


def test_the_ack_stops_the_repetitions_and_is_absorbed_for_t4() -> None:
    invite = ServerInvite(T, reliable=False)
    invite.respond(302, b"302", 0.0)
    assert invite.acknowledged(0.1)
    assert invite.state is State.CONFIRMED
    assert not invite.acknowledged(0.2), "the ACK came twice"
    assert invite.repeated() is None, "an INVITE after its ACK is an old copy"
    assert invite.due == 0.1 + T.t4
    assert invite.on_time(invite.due) is None
    assert invite.state is State.TERMINATED
    assert invite.is_acknowledged


def test_on_a_stream_nothing_is_repeated_and_the_ack_ends_it_at_once() -> None:
    invite = ServerInvite(T, reliable=True)
    invite.respond(486, b"486", 0.0)
    assert invite.due == 32.0, "timer H runs on streams too"
    invite.acknowledged(1.0)
    assert invite.state is State.TERMINATED, "timer I is zero"


def test_on_a_stream_a_refusal_without_ack_ends_without_being_repeated() -> None:
    invite = ServerInvite(T, reliable=True)
    invite.respond(486, b"486", 0.0)
    assert all_sent(invite, 100.0) == []
    assert invite.state is State.TERMINATED
    assert not invite.is_acknowledged


@pytest.mark.parametrize("reliable", [False, True])
def test_a_2xx_is_repeated_until_its_ack_on_streams_too(*, reliable: bool) -> None:
    invite = ServerInvite(T, reliable=reliable)
    invite.respond(200, b"200", 0.0)
    assert invite.state is State.ACCEPTED
    assert all_sent(invite, 4.0) == [0.5, 1.5, 3.5]
    assert invite.acknowledged(4.0)
    assert all_sent(invite, 31.9) == []
    assert invite.state is State.ACCEPTED, "timer L: copies of the INVITE may still come"
    assert invite.repeated() is None
    assert all_sent(invite, 32.0) == []
    assert invite.state is State.TERMINATED


def test_a_2xx_that_nobody_acknowledges_ends_at_timer_l() -> None:
    invite = ServerInvite(T, reliable=False)
    invite.respond(200, b"200", 0.0)
    assert len(all_sent(invite, 100.0)) == 10
    assert invite.state is State.TERMINATED
    assert not invite.is_acknowledged


def test_a_copy_of_the_invite_gets_the_last_answer() -> None:
    invite = ServerInvite(T, reliable=False)
    assert invite.repeated() is None, "nothing was answered yet"
    invite.respond(100, b"100", 0.0)
    assert invite.repeated() == b"100"
    invite.respond(183, b"183", 0.1)
    assert invite.repeated() == b"183"
    invite.respond(480, b"480", 0.2)
    assert invite.repeated() == b"480"


def test_only_one_final_answer_is_given() -> None:
    invite = ServerInvite(T, reliable=False)
    assert invite.respond(487, b"487", 0.0)
    assert not invite.respond(302, b"302", 0.1)
    assert not invite.respond(183, b"183", 0.1)
    assert invite.repeated() == b"487"


def test_a_provisional_answer_is_repeated_each_minute_so_that_proxies_wait() -> None:
    invite = ServerInvite(T, reliable=False)
    invite.respond(100, b"100", 0.0)
    assert invite.due == NEVER, "100 is for the next hop only"
    invite.respond(183, b"183", 1.0)
    assert all_sent(invite, 200.0) == [61.0, 121.0, 181.0]


def test_an_ack_before_the_final_answer_means_nothing() -> None:
    invite = ServerInvite(T, reliable=False)
    invite.respond(183, b"183", 0.0)
    assert not invite.acknowledged(0.1)
    assert invite.state is State.PROCEEDING


def test_a_request_is_answered_again_for_64_t1() -> None:
    request = ServerRequest(T, 0.0, reliable=False)
    assert request.repeated() is None
    assert request.respond(200, b"200", 1.0)
    assert not request.respond(500, b"500", 1.0)
    assert request.repeated() == b"200"
    assert request.due == 33.0, "timer J"
    assert request.on_time(33.0) is None
    assert request.state is State.TERMINATED


def test_on_a_stream_an_answered_request_is_over() -> None:
    request = ServerRequest(T, 0.0, reliable=True)
    request.respond(200, b"200", 1.0)
    assert request.state is State.TERMINATED


def test_a_request_that_nobody_answers_is_forgotten_when_its_client_has_given_up() -> None:
    request = ServerRequest(T, 0.0, reliable=True)
    assert request.due == 32.0
    assert request.on_time(32.0) is None
    assert request.state is State.TERMINATED
    assert not request.respond(200, b"200", 33.0), "RFC 4320: too late is too late"


def test_a_provisional_answer_to_a_request_is_repeated_only_when_asked() -> None:
    request = ServerRequest(T, 0.0, reliable=False)
    request.respond(100, b"100", 0.0)
    assert request.state is State.PROCEEDING
    assert request.repeated() == b"100"
    assert request.respond(200, b"200", 5.0)


@given(
    reliable=st.booleans(),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("respond"), st.integers(100, 699)),
            st.tuples(st.just("repeat"), st.just(0)),
            st.tuples(st.just("ack"), st.just(0)),
            st.tuples(st.just("wait"), st.integers(0, 40_000)),
        ),
        max_size=30,
    ),
)
def test_whatever_comes_in_whatever_order_it_ends_and_says_one_final_thing(
    *, reliable: bool, steps: list[tuple[str, int]]
) -> None:
    invite = ServerInvite(T, reliable=reliable)
    now = 0.0
    finals: set[bytes] = set()

    def run(until: float) -> None:
        while invite.due <= until:
            data = invite.on_time(invite.due)
            if data is not None and data[0] >= ord("2"):
                finals.add(data)

    for step, number in steps:
        if step == "respond":
            data = str(number).encode()
            if invite.respond(number, data, now) and number >= 200:
                finals.add(data)
        elif step == "repeat":
            again = invite.repeated()
            assert again is None or invite.state is not State.TERMINATED
        elif step == "ack":
            invite.acknowledged(now)
        else:
            now += number / 1000
            run(now)
    assert len(finals) <= 1
    if not invite.is_answered:
        invite.respond(500, b"500", now)
    run(now + 32.0)
    assert invite.state is State.TERMINATED
