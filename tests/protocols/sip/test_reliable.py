"""Reliable provisional answers (RFC 3262), with a clock that is a number."""

from __future__ import annotations

import pytest

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.header_fields import Headers
from ringback.protocols.sip.reliable import RAck, ReliableAnswers, names_option, parse_rack
from ringback.protocols.sip.transactions import NEVER, Timers


def test_it_is_repeated_with_doubling_pauses_without_a_cap_and_given_up_at_64_t1() -> None:
    answers = ReliableAnswers(Timers(), 17)
    answers.sent(b"183", 0.0)
    assert answers.rseq == 17
    sent = []
    while not answers.is_given_up:
        now = answers.due
        if answers.on_time(now) is not None:
            sent.append(now)
    assert sent == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert now == 32.0
    assert answers.due == NEVER


def test_its_prack_stops_it_and_the_next_one_has_the_next_number() -> None:
    answers = ReliableAnswers(Timers(), 1)
    answers.sent(b"183", 0.0)
    assert answers.confirmed(RAck(1, 7, "INVITE"))
    assert answers.due == NEVER
    assert answers.waiting is None
    answers.sent(b"180", 1.0)
    assert answers.waiting == 2


@pytest.mark.parametrize("rack", [RAck(2, 7, "INVITE"), RAck(0, 7, "INVITE"), RAck(1, 7, "UPDATE")])
def test_a_prack_for_something_else_stops_nothing(rack: RAck) -> None:
    answers = ReliableAnswers(Timers(), 1)
    answers.sent(b"183", 0.0)
    assert not answers.confirmed(rack)
    assert answers.waiting == 1
    assert answers.on_time(0.5) == b"183"


def test_the_same_prack_counts_once() -> None:
    answers = ReliableAnswers(Timers(), 1)
    answers.sent(b"183", 0.0)
    assert answers.confirmed(RAck(1, 7, "INVITE"))
    assert not answers.confirmed(RAck(1, 7, "INVITE"))


def test_after_the_final_answer_nothing_is_repeated_but_a_prack_on_its_way_is_taken() -> None:
    answers = ReliableAnswers(Timers(), 1)
    answers.sent(b"183", 0.0)
    answers.stop()
    assert answers.due == NEVER
    assert answers.confirmed(RAck(1, 7, "INVITE"))


def test_rack_is_read() -> None:
    assert parse_rack("776656 \t 1 INVITE") == RAck(776656, 1, "INVITE")


@pytest.mark.parametrize(
    "value", [None, "", "1 INVITE", "1 2", "a 2 INVITE", "1 2 INVITE x", "-1 2 INVITE", "1" * 11 + " 2 INVITE"]
)
def test_what_is_no_rack_is_malformed(value: str | None) -> None:
    with pytest.raises(SipMalformed):
        parse_rack(value)


def test_100rel_is_found_among_others_in_any_case() -> None:
    assert names_option(Headers([("Supported", "timer, 100REL"), ("Supported", "path")]), "Supported")
    assert names_option(Headers([("Supported", "timer"), ("Supported", "100rel")]), "Supported")
    assert not names_option(Headers([("Supported", "timer, path")]), "Supported")
    assert not names_option(Headers([("Supported", "100rel")]), "Require")
