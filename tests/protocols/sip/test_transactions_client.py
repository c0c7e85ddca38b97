"""The client's transactions, timer by timer, with a clock that is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.sip.transactions import NEVER, ClientInvite, ClientRequest, State, Timers

T = Timers()


def all_sent(machine: ClientInvite | ClientRequest, until: float) -> list[float]:
    """Runs the machine's timers up to a moment; when it sent something again."""
    sent = []
    while machine.due <= until:
        now = machine.due
        if machine.on_time(now) is not None:
            sent.append(now)
    return sent


def invite(*, reliable: bool = False) -> ClientInvite:
    return ClientInvite(T, b"INVITE", 0.0, reliable=reliable)


def request(*, reliable: bool = False) -> ClientRequest:
    return ClientRequest(T, b"SUBSCRIBE", 0.0, reliable=reliable)


def test_an_invite_is_repeated_with_doubling_pauses_without_a_cap_until_timer_b() -> None:
    machine = invite()
    assert all_sent(machine, 100.0) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert machine.state is State.TERMINATED
    assert machine.is_timed_out


def test_a_request_is_repeated_with_pauses_of_at_most_t2_until_timer_f() -> None:
    machine = request()
    assert all_sent(machine, 100.0) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert machine.state is State.TERMINATED
    assert machine.is_timed_out


@pytest.mark.parametrize("machine", [invite(reliable=True), request(reliable=True)])
def test_on_a_stream_nothing_is_repeated_but_it_is_given_up_at_the_same_time(
    machine: ClientInvite | ClientRequest,
) -> None:
    assert machine.due == 32.0
    assert all_sent(machine, 32.0) == []
    assert machine.is_timed_out


def test_a_provisional_answer_stops_the_invite_and_its_end_for_good() -> None:
    machine = invite()
    assert machine.received(100, 0.2)
    assert machine.due == NEVER
    assert machine.received(180, 50.0)
    assert machine.state is State.PROCEEDING


def test_a_provisional_answer_makes_a_request_slower_but_does_not_stop_it() -> None:
    machine = request()
    assert machine.received(100, 0.2)
    assert all_sent(machine, 13.0) == [0.5, 4.5, 8.5, 12.5]
    assert all_sent(machine, 100.0)[-1] < 32.0
    assert machine.is_timed_out


def test_a_refused_invite_waits_for_copies_of_the_refusal_and_acknowledges_each() -> None:
    machine = invite()
    assert machine.received(302, 1.0)
    assert machine.state is State.COMPLETED
    machine.acknowledged_with(b"ACK")
    assert not machine.received(302, 1.5), "told only once"
    assert machine.state is State.COMPLETED
    assert machine.acknowledgement == b"ACK"
    assert machine.due == 33.0, "timer D"
    assert machine.on_time(33.0) is None
    assert machine.state is State.TERMINATED
    assert not machine.is_timed_out


def test_on_a_stream_the_ack_to_a_refusal_ends_the_invite() -> None:
    machine = invite(reliable=True)
    machine.received(302, 1.0)
    machine.acknowledged_with(b"ACK")
    assert machine.state is State.TERMINATED


def test_every_2xx_is_told_since_each_wants_its_ack_and_may_be_of_another_phone() -> None:
    machine = invite()
    machine.received(180, 0.5)
    assert machine.received(200, 1.0)
    assert machine.state is State.ACCEPTED
    assert machine.received(200, 1.5)
    assert not machine.received(180, 1.6)
    assert not machine.received(486, 1.7)
    assert machine.due == 33.0, "timer M"
    machine.on_time(33.0)
    assert machine.state is State.TERMINATED
    assert not machine.is_timed_out


def test_an_answered_request_absorbs_copies_for_t4() -> None:
    machine = request()
    assert machine.received(200, 1.0)
    assert not machine.received(200, 1.1)
    assert machine.due == 6.0, "timer K"
    machine.on_time(6.0)
    assert machine.state is State.TERMINATED
    assert not machine.is_timed_out


def test_on_a_stream_an_answered_request_is_over() -> None:
    machine = request(reliable=True)
    assert machine.received(401, 1.0)
    assert machine.state is State.TERMINATED


def test_a_cancelled_invite_that_gets_no_final_answer_ends_after_64_t1() -> None:
    machine = invite()
    machine.received(180, 0.5)
    machine.cancelled(10.0)
    assert machine.received(180, 11.0)
    assert machine.due == 42.0
    machine.on_time(42.0)
    assert machine.is_timed_out


def test_a_cancelled_invite_still_takes_its_answer() -> None:
    machine = invite()
    machine.received(180, 0.5)
    machine.cancelled(10.0)
    assert machine.received(487, 10.1)
    assert machine.state is State.COMPLETED


@given(
    kind=st.sampled_from([ClientInvite, ClientRequest]),
    reliable=st.booleans(),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("answer"), st.integers(100, 699)), st.tuples(st.just("wait"), st.integers(0, 40_000))
        ),
        max_size=30,
    ),
)
def test_whatever_comes_in_whatever_order_one_end_is_told(
    *, kind: type[ClientInvite | ClientRequest], reliable: bool, steps: list[tuple[str, int]]
) -> None:
    machine = kind(T, b"data", 0.0, reliable=reliable)
    now = 0.0
    finals = []
    for step, number in steps:
        if step == "wait":
            now += number / 1000
            all_sent(machine, now)
        elif machine.received(number, now) and number >= 200:
            finals.append(number)
            if isinstance(machine, ClientInvite) and machine.state is State.COMPLETED:
                machine.acknowledged_with(b"ACK")
    assert len(finals) + machine.is_timed_out <= 1 or (kind is ClientInvite and all(one < 300 for one in finals))
    if machine.state is State.TRYING:
        all_sent(machine, 32.0)
        assert machine.is_timed_out
