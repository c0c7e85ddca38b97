"""Every change of an operation after it was made: one row, one audit row, one event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.events import Events, OperationChanged
from ringback.operations import queries
from ringback.operations.model import Event, Operation, next_status
from ringback.principal import Principal, job
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.clock import Clock

EXPIRY = job("operation expiry")
PROXIMITY_OTP = "proximity_otp"
"""Under this name the OTP that a phone sent is noted (PowerAuth server, additional data)."""

_encode = msgspec.json.Encoder().encode
_ACTIONS: dict[Event, str] = {
    "APPROVE": "operation.approve",
    "REJECT": "operation.reject",
    "CANCEL": "operation.cancel",
    "EXPIRE": "operation.expire",
    "FAIL": "operation.fail",
}


class Lifecycle:
    """Writes the changes that the decisions come to."""

    def __init__(self, *, clock: Clock, audit: AuditLog, events: Events) -> None:
        self._clock = clock
        self._audit = audit
        self._events = events

    async def finish(
        self,
        tx: Tx,
        principal: Principal,
        operation: Operation,
        event: Event,
        *,
        user_id: str | None = None,
        app_id: str | None = None,
        failure_count: int | None = None,
        additional: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> Operation:
        """Ends the operation; returns it as it is then. `user_id`: who claimed it by approving it."""
        details = {"statusReason": reason} if reason else {}
        finished = msgspec.structs.replace(
            operation,
            status=next_status(operation.status, event),
            user_id=user_id or operation.user_id,
            failure_count=operation.failure_count if failure_count is None else failure_count,
            additional_data=_merged(operation, additional),
            status_reason=reason or operation.status_reason,
            finalized_at=self._clock.now_ms(),
            version=operation.version + 1,
        )
        await self._save(tx, principal, operation, finished, _ACTIONS[event], app_id, {**details, **_told(additional)})
        await self.published(tx, finished.id, finished.user_id, finished.status)
        return finished

    async def count_failure(
        self,
        tx: Tx,
        principal: Principal,
        operation: Operation,
        cause: str,
        app_id: str | None,
        additional: dict[str, Any] | None = None,
    ) -> Operation:
        """One approval that failed; the last one that is allowed ends the operation.

        `additional`: what is noted about the phone; nothing of one that the operation's back end may not know of.
        """
        failures = operation.failure_count + 1
        if failures >= operation.max_failure_count:
            return await self.finish(
                tx, principal, operation, "FAIL", app_id=app_id, failure_count=failures, additional=additional
            )
        counted = msgspec.structs.replace(
            operation,
            failure_count=failures,
            additional_data=_merged(operation, additional),
            version=operation.version + 1,
        )
        details = {"cause": cause, "failureCount": failures}
        await self._save(tx, principal, operation, counted, "operation.approve_failed", app_id, details)
        await self._events.publish(tx, OperationChanged(counted.id, counted.user_id, counted.status, "ATTEMPT_FAILED"))
        return counted

    async def claim(self, tx: Tx, principal: Principal, operation: Operation, user_id: str, app_id: str) -> Operation:
        """The operation gets its user."""
        claimed = msgspec.structs.replace(operation, user_id=user_id, version=operation.version + 1)
        await self._save(tx, principal, operation, claimed, "operation.claim", app_id, {})
        await self._events.publish(tx, OperationChanged(claimed.id, claimed.user_id, claimed.status, "CLAIMED"))
        return claimed

    async def expired(self, tx: Tx, operation_id: str, user_id: str | None) -> None:
        """The row says EXPIRED already; notes it and tells."""
        await self._audit.record(
            tx, EXPIRY, _ACTIONS["EXPIRE"], subject_kind="operation", subject_id=operation_id, user_id=user_id
        )
        await self.published(tx, operation_id, user_id, "EXPIRED")

    async def published(self, tx: Tx, operation_id: str, user_id: str | None, status: str) -> None:
        """Tells whoever listens that the operation is finished."""
        await self._events.publish(tx, OperationChanged(operation_id, user_id, status, "FINISHED"))

    async def _save(  # noqa: PLR0917 - one row of operations and one of the audit log
        self,
        tx: Tx,
        principal: Principal,
        before: Operation,
        after: Operation,
        action: str,
        app_id: str | None,
        details: dict[str, Any],
    ) -> None:
        await tx.run(
            queries.save_operation,
            before.id,
            before.version,
            after.status,
            after.user_id,
            after.failure_count,
            after.additional_data,
            after.status_reason,
            after.finalized_at,
        )
        await self._audit.record(
            tx,
            principal,
            action,
            subject_kind="operation",
            subject_id=after.id,
            app_id=app_id,
            user_id=after.user_id,
            details=details,
        )


def _told(additional: dict[str, Any] | None) -> dict[str, Any]:
    """What of it goes to the audit log: an OTP does not."""
    return {name: value for name, value in (additional or {}).items() if name != PROXIMITY_OTP}


def _merged(operation: Operation, additional: dict[str, Any] | None) -> str:
    if not additional:
        return operation.additional_data
    return _encode({**operation.additional_map(), **additional}).decode()
