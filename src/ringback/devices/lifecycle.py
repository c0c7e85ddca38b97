"""The only way a registration's status changes: the table, the row, the audit log and the event, in one unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.devices import queries
from ringback.devices.model import IN_PROGRESS, Registration, Status, StatusEvent, next_status
from ringback.events import RegistrationChanged
from ringback.principal import Principal, job

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices.needs import Audit, EventSink, PushTokenStore
    from ringback.devices.recovery_states import RecoveryStates
    from ringback.store import Tx

EXPIRY = job("registration_expiry")


class Lifecycle:
    """Changes statuses and tells about it. Recovery codes that were made with a registration follow it."""

    def __init__(
        self,
        *,
        clock: Clock,
        audit: Audit,
        events: EventSink,
        recovery_codes: RecoveryStates,
        push_tokens: PushTokenStore,
    ) -> None:
        self._clock = clock
        self._audit = audit
        self._events = events
        self._recovery_codes = recovery_codes
        self._push_tokens = push_tokens

    async def change(
        self,
        tx: Tx,
        registration: Registration,
        event: StatusEvent,
        principal: Principal,
        *,
        blocked_reason: str | None = None,
        external_user_id: str | None = None,
    ) -> Registration:
        """Stores the status after `event`. Raises RegistrationChangeRefused when the table has no such transition."""
        status = next_status(registration.status, event)
        changed = msgspec.structs.replace(
            registration,
            status=status,
            blocked_reason=blocked_reason,
            failed_attempts=0 if event in {"unblock", "commit"} else registration.failed_attempts,
            external_user_id=external_user_id or registration.external_user_id,
            last_used_at=self._clock.now_ms(),
            activation_otp_fingerprint=kept_otp(registration, status),
            version=registration.version + 1,
        )
        bound = await self._recovery_codes.bound_to(tx, registration, status)
        await tx.run(
            queries.save_status,
            registration.id,
            registration.version,
            status,
            blocked_reason,
            changed.failed_attempts,
            changed.external_user_id,
            changed.last_used_at,
            changed.activation_otp_fingerprint,
        )
        await self._recovery_codes.follow(tx, bound, status, principal)
        details = {"blockedReason": blocked_reason, "externalUserId": external_user_id}
        await self.tell(tx, registration, event, status, principal, details)
        return changed

    async def created(self, tx: Tx, principal: Principal, registration_id: str, app_id: str, user_id: str) -> None:
        """Audit row and event of a new registration."""
        await self._audit.record(
            tx,
            principal,
            "registration.create",
            subject_kind="registration",
            subject_id=registration_id,
            app_id=app_id,
            user_id=user_id,
        )
        await self._events.publish(tx, RegistrationChanged(registration_id, app_id, user_id, "CREATED"))

    async def tell(
        self,
        tx: Tx,
        registration: Registration,
        event: StatusEvent,
        status: Status,
        principal: Principal,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Audit row and event of a change that the caller stores together with more columns.

        A removed phone also loses its MAC tokens and push tokens, so that nobody reaches it any more; a blocked one
        keeps them for the time when it is unblocked.
        """
        if status == "REMOVED":
            await tx.run(queries.delete_mac_tokens, registration.id)
            await self._push_tokens.forget_registration(tx, registration.id)
        elif "BLOCKED" in {registration.status, status}:
            await self._push_tokens.suspend_registration(tx, registration.id, suspended=status == "BLOCKED")
        shown = {"from": registration.status, "to": status}
        shown.update({name: value for name, value in (details or {}).items() if value is not None})
        await self.record(tx, principal, f"registration.{event}", registration, shown)
        await self._events.publish(
            tx, RegistrationChanged(registration.id, registration.app_id, registration.user_id, status)
        )

    async def record(
        self, tx: Tx, principal: Principal, action: str, registration: Registration, details: dict[str, Any]
    ) -> None:
        """One audit row about a registration."""
        await self._audit.record(
            tx,
            principal,
            action,
            subject_kind="registration",
            subject_id=registration.id,
            app_id=registration.app_id,
            user_id=registration.user_id,
            details=details,
        )

    async def expire(self, tx: Tx, registration: Registration) -> Registration:
        """Removes a registration whose time is over."""
        return await self.change(tx, registration, "expire", EXPIRY)

    async def expire_registrations(self, tx: Tx, limit: int) -> int:
        """Unit: removes up to `limit` registrations whose time is over; returns how many."""
        overdue = await tx.all(queries.expired_in_progress, self._clock.now_ms(), limit)
        for registration in overdue:
            await self.expire(tx, registration)
        return len(overdue)


def kept_otp(registration: Registration, status: Status) -> bytes | None:
    """The fingerprint of the activation OTP while it can still be asked for."""
    return registration.activation_otp_fingerprint if status in IN_PROGRESS else None
