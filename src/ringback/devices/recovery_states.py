"""The only way a recovery code's status changes: the table, the row, its PUKs and the audit log, in one unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.devices import queries_recovery as queries
from ringback.devices.model_recovery import OPEN, RecoveryCode, RecoveryEvent, RecoveryStatus, next_recovery_status

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices.model import Registration, Status
    from ringback.devices.needs import Audit
    from ringback.principal import Principal
    from ringback.store import Tx


class RecoveryStates:
    """Changes statuses of recovery codes and tells about it."""

    def __init__(self, *, clock: Clock, audit: Audit) -> None:
        self._clock = clock
        self._audit = audit

    async def change(
        self,
        tx: Tx,
        code: RecoveryCode,
        event: RecoveryEvent,
        principal: Principal,
        *,
        failed_attempts: int | None = None,
    ) -> RecoveryCode:
        """Stores the status after `event`; the PUKs of a code that is closed become INVALID.

        Raises RecoveryCodeChangeRefused when the table has no such transition.
        """
        status = next_recovery_status(code.status, event)
        failed = code.failed_attempts if failed_attempts is None else failed_attempts
        changed = await self.save(tx, code, status, failed)
        if status not in OPEN:
            await tx.run(queries.close_puks, code.id)
        await self.record(tx, principal, f"recovery_code.{event}", code, {"from": code.status, "to": status})
        return changed

    async def save(self, tx: Tx, code: RecoveryCode, status: RecoveryStatus, failed_attempts: int) -> RecoveryCode:
        """Stores status and failures, if nobody else changed the code meanwhile."""
        changed = msgspec.structs.replace(
            code,
            status=status,
            failed_attempts=failed_attempts,
            updated_at=self._clock.now_ms(),
            version=code.version + 1,
        )
        await tx.run(queries.save_recovery_code, code.id, code.version, status, failed_attempts, changed.updated_at)
        return changed

    async def record(
        self, tx: Tx, principal: Principal, action: str, code: RecoveryCode, details: dict[str, Any] | None = None
    ) -> None:
        """One audit row about a recovery code."""
        about = {} if code.registration_id is None else {"registrationId": code.registration_id}
        await self._audit.record(
            tx,
            principal,
            action,
            subject_kind="recovery_code",
            subject_id=code.id,
            app_id=code.app_id,
            user_id=code.user_id,
            details={**about, **(details or {})},
        )

    # codes that belong to a registration ------------------------------------------------------------------------------

    async def bound_to(self, tx: Tx, registration: Registration, status: Status) -> list[RecoveryCode]:
        """The codes that a registration takes along when it becomes `status`; read before it is written."""
        if registration.status == "CREATED":
            return []  # they are made with the keys
        if status == "REMOVED" or (status == "ACTIVE" and registration.status == "PENDING_COMMIT"):
            return await tx.all(queries.open_codes_of_registration, registration.id)
        return []

    async def follow(self, tx: Tx, codes: list[RecoveryCode], status: Status, principal: Principal) -> None:
        """Codes of a committed registration become ACTIVE, those of a removed one REVOKED."""
        for code in codes:
            if status == "REMOVED":
                await self.change(tx, code, "registration_removed", principal)
            elif code.status == "CREATED":
                await self.change(tx, code, "commit", principal)
