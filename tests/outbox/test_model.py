"""The transition table and the pauses."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.clock import SystemRandomness
from ringback.outbox import OutboxLimits
from ringback.outbox.backoff import pause_ms
from ringback.outbox.model import TRANSITIONS, Event, State, next_state


def test_the_table_admits_exactly_its_transitions() -> None:
    assert {(before, event): after for (before, event), after in TRANSITIONS.items()} == {
        ("READY", "CLAIM"): "LEASED",
        ("LEASED", "DELIVERED"): "DONE",
        ("LEASED", "GIVE_UP"): "DEAD",
        ("LEASED", "RETRY"): "READY",
        ("LEASED", "RELEASE"): "READY",
    }
    for state, event in product(get_args(State), get_args(Event)):
        if (state, event) not in TRANSITIONS:
            with pytest.raises(ValueError, match="knows no"):
                next_state(state, event)


@given(st.integers(min_value=1, max_value=10**6))
def test_pauses_stay_between_half_and_whole(attempts: int) -> None:
    limits = OutboxLimits()
    whole = min(limits.first_pause_seconds * 2 ** min(attempts - 1, 60), limits.longest_pause_seconds) * 1000
    assert whole / 2 <= pause_ms(attempts, limits, SystemRandomness()) <= whole
