"""What a recovery code and its PUKs are, and how their statuses may change.

Source: PowerAuth specification, "Activation Recovery", recovery code and PUK states.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ringback.errors import RecoveryCodeChangeRefused

RecoveryStatus = Literal["CREATED", "ACTIVE", "BLOCKED", "REVOKED"]
RecoveryEvent = Literal["confirm", "commit", "attempts_used_up", "use_bound", "registration_removed", "revoke"]
PukStatus = Literal["VALID", "USED", "INVALID"]
PukEvent = Literal["use", "code_closed"]

RECOVERY_TRANSITIONS: tuple[tuple[RecoveryStatus, RecoveryEvent, RecoveryStatus], ...] = (
    ("CREATED", "confirm", "ACTIVE"),
    ("CREATED", "commit", "ACTIVE"),
    ("CREATED", "registration_removed", "REVOKED"),
    ("CREATED", "revoke", "REVOKED"),
    ("ACTIVE", "attempts_used_up", "BLOCKED"),
    ("ACTIVE", "use_bound", "REVOKED"),
    ("ACTIVE", "registration_removed", "REVOKED"),
    ("ACTIVE", "revoke", "REVOKED"),
    ("BLOCKED", "revoke", "REVOKED"),
)
"""Every change of a code's status. `confirm` is for codes of postcards, `commit` for those of a registration."""

PUK_TRANSITIONS: tuple[tuple[PukStatus, PukEvent, PukStatus], ...] = (
    ("VALID", "use", "USED"),
    ("VALID", "code_closed", "INVALID"),
)
"""Every change of a PUK's status; `code_closed`: its code is BLOCKED or REVOKED."""

OPEN: frozenset[str] = frozenset({"CREATED", "ACTIVE"})
"""Statuses in which a code is, or may become, good for something."""

_NEXT: dict[tuple[str, str], RecoveryStatus] = {(status, event): to for status, event, to in RECOVERY_TRANSITIONS}


def next_recovery_status(status: str, event: str) -> RecoveryStatus:
    """The status after `event`; raises RecoveryCodeChangeRefused when RECOVERY_TRANSITIONS has no such row."""
    try:
        return _NEXT[status, event]
    except KeyError:
        raise RecoveryCodeChangeRefused(f"A recovery code in status {status} cannot be changed so.") from None


class RecoveryCode(msgspec.Struct, frozen=True):
    """A row of `recovery_codes`. `registration_id`: the phone it was made with; None for a postcard's."""

    id: str
    app_id: str
    user_id: str
    registration_id: str | None
    status: RecoveryStatus
    code_masked: str
    failed_attempts: int
    max_failed_attempts: int
    created_at: int
    updated_at: int
    version: int


class RecoveryPuk(msgspec.Struct, frozen=True):
    """A row of `recovery_puks`. Indexes count from 1, in the order of use."""

    puk_index: int
    status: PukStatus
    puk_fingerprint: bytes
    used_at: int | None


class NewRecovery(msgspec.Struct, frozen=True):
    """A code and its PUKs in the clear: told once, stored nowhere."""

    recovery_code: str
    puks: tuple[str, ...]

    def __repr__(self) -> str:
        """Shows neither."""
        return f"NewRecovery({len(self.puks)} PUKs)"
