from __future__ import annotations

import itertools
from typing import get_args

import pytest

from ringback.attempts import AttemptLimiter
from ringback.clock import ManualClock
from ringback.devices.model import TRANSITIONS, Status, StatusEvent, next_status
from ringback.errors import RegistrationChangeRefused

EVERY_PAIR = list(itertools.product(get_args(Status), get_args(StatusEvent)))


@pytest.mark.parametrize(("status", "event"), EVERY_PAIR)
def test_the_table_admits_exactly_its_transitions(status: str, event: str) -> None:
    expected = [to for origin, what, to in TRANSITIONS if (origin, what) == (status, event)]
    if expected:
        assert [next_status(status, event)] == expected
    else:
        with pytest.raises(RegistrationChangeRefused):
            next_status(status, event)


def test_nothing_leaves_removed_and_nothing_returns_to_created() -> None:
    assert not [row for row in TRANSITIONS if row[0] == "REMOVED" or row[2] == "CREATED"]


def test_only_commit_or_unblock_or_a_committing_key_exchange_make_active() -> None:
    assert {row[1] for row in TRANSITIONS if row[2] == "ACTIVE"} == {"commit", "unblock", "key_exchange_commits"}


def test_attempts_slide_over_a_minute(clock: ManualClock) -> None:
    limiter = AttemptLimiter(clock=clock, per_minute=3)
    for _ in range(3):
        assert not limiter.is_exhausted("192.0.2.1")
        limiter.count_failure("192.0.2.1")
        clock.advance(10)
    assert limiter.is_exhausted("192.0.2.1")
    assert not limiter.is_exhausted("192.0.2.2")
    clock.advance(29.999)
    assert limiter.is_exhausted("192.0.2.1")
    clock.advance(0.001)
    assert not limiter.is_exhausted("192.0.2.1")


def test_a_clock_that_is_set_back_locks_nobody_out(clock: ManualClock) -> None:
    limiter = AttemptLimiter(clock=clock, per_minute=1)
    limiter.count_failure("192.0.2.1")
    clock.advance(-3600)
    assert not limiter.is_exhausted("192.0.2.1")
    limiter.count_failure("192.0.2.1")
    assert limiter.is_exhausted("192.0.2.1")


def test_attempts_are_remembered_for_a_bounded_number_of_addresses(clock: ManualClock) -> None:
    limiter = AttemptLimiter(clock=clock, per_minute=1)
    for number in range(10_001):
        limiter.count_failure(str(number))
    assert not limiter.is_exhausted("0")
    assert limiter.is_exhausted("1")
