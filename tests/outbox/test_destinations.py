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


def test_places_come_back_one_with_each_success(destinations: Destinations) -> None:
    for _ in range(8):
        destinations.enter("apns:bank")
    destinations.note("apns:bank", RetryLater("no answer in time"))
    free = []
    for _ in range(7):
        destinations.note("apns:bank", Delivered())
        opened = destinations.leave("apns:bank")
        free.append(destinations.left("apns:bank"))
        assert opened == (free[-1] > 0)
    assert free == [0, 0, 0, 1, 3, 5, 7]
    for _ in range(6):
        destinations.enter("apns:bank")
    destinations.note("apns:bank", RetryLater("no answer in time"))
    destinations.leave("apns:bank")
    assert destinations.left("apns:bank") == 0


def test_one_that_recovers_is_filled_without_waiting_to_be_looked_at(destinations: Destinations) -> None:
    destinations.enter("apns:bank")
    destinations.note("apns:bank", AWAY)
    assert destinations.leave("apns:bank")
    destinations.enter("apns:bank")
    destinations.note("apns:bank", Delivered())
    assert destinations.leave("apns:bank")
    assert destinations.left("apns:bank") == 2
