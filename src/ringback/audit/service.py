"""Writing the audit log."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.audit.queries import append_entry
from ringback.clock import Clock, Randomness, new_id, time_of_id
from ringback.principal import Principal
from ringback.store import Tx

_encode = msgspec.json.Encoder().encode


class AuditLog:
    """Adds rows to the audit log."""

    def __init__(self, *, clock: Clock, randomness: Randomness) -> None:
        self._clock = clock
        self._randomness = randomness

    async def record(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        *,
        subject_kind: str,
        subject_id: str,
        app_id: str | None = None,
        user_id: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """One row: `principal` did `action` to the subject. `details` must not hold secrets."""
        entry_id = new_id(self._clock, self._randomness)
        await tx.run(
            append_entry,
            entry_id,
            time_of_id(entry_id),  # to the millisecond the same, since a time is looked for among the ids
            principal.kind,
            principal.name,
            action,
            subject_kind,
            subject_id,
            app_id,
            user_id,
            _encode(details).decode() if details else "{}",
        )
