from __future__ import annotations

import itertools
from typing import get_args

import pytest

from ringback.devices.model_recovery import (
    OPEN,
    PUK_TRANSITIONS,
    RECOVERY_TRANSITIONS,
    NewRecovery,
    PukEvent,
    PukStatus,
    RecoveryEvent,
    RecoveryStatus,
    next_recovery_status,
)
from ringback.devices.queries_recovery import close_puks, use_puk
from ringback.errors import RecoveryCodeChangeRefused

EVERY_PAIR = list(itertools.product(get_args(RecoveryStatus), get_args(RecoveryEvent)))


@pytest.mark.parametrize(("status", "event"), EVERY_PAIR)
def test_the_table_of_codes_admits_exactly_its_transitions(status: str, event: str) -> None:
    expected = [to for origin, what, to in RECOVERY_TRANSITIONS if (origin, what) == (status, event)]
    if expected:
        assert [next_recovery_status(status, event)] == expected
    else:
        with pytest.raises(RecoveryCodeChangeRefused):
            next_recovery_status(status, event)


def test_a_closed_code_never_becomes_good_again() -> None:
    assert not [row for row in RECOVERY_TRANSITIONS if row[0] not in OPEN and row[2] in OPEN]
    assert not [row for row in RECOVERY_TRANSITIONS if row[0] == "REVOKED" or row[2] == "CREATED"]


def test_the_commands_change_puks_as_the_table_says() -> None:
    changes = {"use": use_puk.sqlite, "code_closed": close_puks.sqlite}
    assert {event for _, event, _ in PUK_TRANSITIONS} == set(changes)
    for origin, event, to in PUK_TRANSITIONS:
        assert f"SET status = '{to}'" in changes[event]
        assert changes[event].endswith(f"AND status = '{origin}'")


def test_puks_end_used_or_invalid() -> None:
    assert {row[0] for row in PUK_TRANSITIONS} == {"VALID"}
    assert {row[2] for row in PUK_TRANSITIONS} == set(get_args(PukStatus)) - {"VALID"}
    assert {row[1] for row in PUK_TRANSITIONS} == set(get_args(PukEvent))


def test_a_new_code_does_not_show_itself() -> None:
    assert repr(NewRecovery("AAAAA-AAAAA-AAAAA-AAAAA", ("0123456789",))) == "NewRecovery(1 PUKs)"
