"""The bulkheads of a channel: what the log says of a destination that is left alone."""

from __future__ import annotations

import pytest

from ringback.clock import ManualClock
from ringback.outbox import Circuit, Delivered, RetryLater
from ringback.outbox.destinations import Destinations
from ringback.outbox.plug import OneByOne, Plug
from tests.outbox.outboxes import Recording

CIRCUIT = Circuit(failures=3, pause_seconds=5)
AWAY = RetryLater("the connection was refused")


@pytest.fixture
def destinations(clock: ManualClock) -> Destinations:
    return Destinations(Plug("push", OneByOne(Recording(), None), 8, 64, CIRCUIT), clock)


def test_an_outage_is_one_line_with_the_reason_and_one_when_it_is_over(
    destinations: Destinations, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(500):
        destinations.note("apns:bank", AWAY)
        clock.advance(5)
    destinations.note("apns:bank", Delivered())
    destinations.note("apns:bank", Delivered())
    begins, ends = (record.getMessage() for record in caplog.records)
    assert begins.startswith("push apns:bank failed 3 times in a row")
    assert begins.endswith(": the connection was refused")
    assert ends == "push apns:bank answers again"


def test_a_long_outage_is_told_again_every_hour(
    destinations: Destinations, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3 * 3_600 // 5):
        destinations.note("apns:bank", AWAY)
        clock.advance(5)
    assert len(caplog.records) == 3


def test_a_few_failures_are_no_news(destinations: Destinations, caplog: pytest.LogCaptureFixture) -> None:
    destinations.note("apns:bank", AWAY)
    destinations.note("apns:bank", Delivered())
    assert not caplog.records


def test_each_failure_leaves_half_of_the_places(destinations: Destinations) -> None:
    free = []
    for _ in range(5):
        destinations.note("apns:bank", RetryLater("no answer in time"))
        free.append(destinations.left("apns:bank"))
    assert free[:2] == [4, 2]
    assert free[2:] == [0, 0, 0], "the circuit is open"


def test_what_fails_together_leaves_one_place(clock: ManualClock) -> None:
    destinations = Destinations(Plug("push", OneByOne(Recording(), None), 1_024, 4_096), clock)
    for _ in range(1_024):
        destinations.enter("apns:bank")
    for failed in range(1, 1_025):
        destinations.note("apns:bank", AWAY)
        destinations.leave("apns:bank")
        assert destinations.left("apns:bank") == (failed == 1_024)


def test_one_that_is_left_alone_gets_one_attempt_after_the_pause(
    destinations: Destinations, clock: ManualClock
) -> None:
    destinations.note("apns:bank", RetryLater("the credential is refused", leave_alone_seconds=60))
    assert destinations.left("apns:bank") == 0
    clock.advance(60)
    assert destinations.left("apns:bank") == 1


def test_a_clock_that_was_ahead_leaves_nobody_alone_for_longer(
    destinations: Destinations, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.advance(7_200)
    destinations.note("apns:bank", RetryLater("InvalidProviderToken", leave_alone_seconds=60))
    clock.advance(59)
    assert destinations.left("apns:bank") == 0
    clock.advance(-7_200)
    assert destinations.left("apns:bank") == 1
    destinations.note("apns:bank", RetryLater("InvalidProviderToken", leave_alone_seconds=60))
    assert destinations.left("apns:bank") == 0
    assert len(caplog.records) == 2, "that it fails still is news, by the clock that is right"


def test_places_come_back_one_with_each_success(destinations: Destinations) -> None:
    for _ in range(8):
        destinations.enter("apns:bank")
    for _ in range(2):
        destinations.note("apns:bank", RetryLater("no answer in time"))
    free = []
    for _ in range(6):
        destinations.note("apns:bank", Delivered())
        opened = destinations.leave("apns:bank")
        free.append(destinations.left("apns:bank"))
        assert opened == (free[-1] > 0)
    assert free == [0, 0, 0, 2, 4, 6]
    for _ in range(6):
        destinations.enter("apns:bank")
    destinations.note("apns:bank", RetryLater("no answer in time"))
    destinations.leave("apns:bank")
    assert destinations.left("apns:bank") == 0


def test_one_that_recovers_is_filled_without_waiting_to_be_looked_at(
    destinations: Destinations, clock: ManualClock
) -> None:
    destinations.note("apns:bank", RetryLater("no answer", leave_alone_seconds=5))
    clock.advance(5)
    for free in (2, 3):
        destinations.enter("apns:bank")
        destinations.note("apns:bank", Delivered())
        assert destinations.leave("apns:bank")
        assert destinations.left("apns:bank") == free
