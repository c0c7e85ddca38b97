"""What a back end does with registrations: create, commit, block, unblock, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.devices import queries
from ringback.devices.creation import NewRegistration
from ringback.devices.looking import signed_code
from ringback.devices.model import IN_PROGRESS, NOT_SPECIFIED, StatusEvent, next_status
from ringback.devices.otp import EXPECTED_LATER
from ringback.devices.schema import (
    ChangeRegistration,
    CommitRegistration,
    CreatedRegistration,
    CreateRegistration,
    DeleteRegistration,
    ReplaceOtp,
)
from ringback.errors import (
    ActivationOtpRefused,
    AppNotFound,
    RegistrationChangeRefused,
    RegistrationNotAllowed,
    RegistrationRefused,
    invalid_field,
)

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices.creation import Creation
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.looking import Looking
    from ringback.devices.needs import AppAccess, Apps
    from ringback.devices.otp import ActivationOtps
    from ringback.principal import Principal
    from ringback.store import Tx

_ONE_OF_TWO = "Say when the registration is committed by commitPhase or by otpValidation, not by both."


class Registrations:
    """The back end's side of the room."""

    def __init__(
        self,
        *,
        clock: Clock,
        apps: Apps,
        access: AppAccess,
        lifecycle: Lifecycle,
        looking: Looking,
        creation: Creation,
        otps: ActivationOtps,
        delete_any: bool,
    ) -> None:
        self._clock = clock
        self._apps = apps
        self._access = access
        self._lifecycle = lifecycle
        self._creation = creation
        self._otps = otps
        self._looking = looking
        self._delete_any = delete_any

    async def create(
        self, tx: Tx, principal: Principal, command: CreateRegistration, *, only_one: bool
    ) -> CreatedRegistration:
        """See DevicesService.create_registration."""
        now = self._clock.now_ms()
        commit_phase = _commit_phase(command)
        expires_at = command.timestamp_registration_expire
        if expires_at is not None and expires_at <= now:
            raise invalid_field("timestampRegistrationExpire", "The time must be in the future.", expires_at)
        if command.app_id not in await self._access.apps_of(tx, principal):
            raise AppNotFound
        master_key = await self._apps.master_private_key(tx, command.app_id)
        if only_one:
            await tx.one(queries.lock_user, f"{command.app_id}\n{command.user_id}")
            if await tx.one(queries.in_progress_of_user, command.user_id, command.app_id, now) is not None:
                raise RegistrationNotAllowed
        new = NewRegistration(
            id=(registration_id := self._creation.new_id()),
            app_id=command.app_id,
            user_id=command.user_id,
            commit_phase=commit_phase,
            otp_fingerprint=self._otp_fingerprint(registration_id, command),
            flags=tuple(command.flags or ()),
            expires_at=expires_at,
        )
        code = (await self._creation.insert(tx, principal, new)).activation_code
        signature, qr = signed_code(master_key, code)
        return CreatedRegistration(registration_id, code, signature, qr)

    def _otp_fingerprint(self, registration_id: str, command: CreateRegistration) -> bytes | None:
        if command.otp is not None:
            return self._otps.fingerprint(registration_id, command.otp)
        return EXPECTED_LATER if command.otp_validation == "ON_COMMIT" else None

    # changing ---------------------------------------------------------------------------------------------------------

    async def commit(
        self, tx: Tx, principal: Principal, registration_id: str, command: CommitRegistration
    ) -> type[RegistrationRefused] | None:
        """See DevicesService.commit_registration."""
        registration = await self._looking.find(tx, principal, registration_id)
        if registration.is_expired(self._clock.now_ms()):
            await self._lifecycle.expire(tx, registration)
            return RegistrationChangeRefused
        next_status(registration.status, "commit")  # a registration in another status expects no OTP either
        verdict = self._otps.verdict(registration, "ON_COMMIT", command.otp)
        if verdict == "unexpected":
            raise invalid_field("otp", "This registration expects no OTP. Leave the field out.")
        if verdict == "wrong":
            await self._otps.count_failure(tx, registration, principal)
            return ActivationOtpRefused
        who = command.external_user_id
        await self._lifecycle.change(tx, registration, "commit", principal, external_user_id=who)
        return None

    async def replace_otp(
        self, tx: Tx, principal: Principal, registration_id: str, command: ReplaceOtp
    ) -> type[RegistrationRefused] | None:
        """See DevicesService.replace_otp."""
        registration = await self._looking.find(tx, principal, registration_id)
        if registration.is_expired(self._clock.now_ms()):
            await self._lifecycle.expire(tx, registration)
            return RegistrationChangeRefused
        if registration.status not in IN_PROGRESS:
            raise RegistrationChangeRefused
        await self._otps.replace(tx, registration, command.otp, principal, command.external_user_id)
        return None

    async def cancel(
        self, tx: Tx, principal: Principal, registration_id: str, command: DeleteRegistration
    ) -> type[RegistrationRefused] | None:
        """See DevicesService.cancel_registration."""
        event: StatusEvent = "remove" if self._delete_any else "cancel"
        return await self._apply(tx, principal, registration_id, event, command.external_user_id)

    async def update(
        self, tx: Tx, principal: Principal, registration_id: str, command: ChangeRegistration
    ) -> type[RegistrationRefused] | None:
        """See DevicesService.change_registration."""
        who = command.external_user_id
        if command.change == "REMOVE":
            return await self._apply(tx, principal, registration_id, "remove", who)
        if command.change == "UNBLOCK":
            return await self._apply(tx, principal, registration_id, "unblock", who, already="ACTIVE")
        reason = command.block_reason or NOT_SPECIFIED
        return await self._apply(tx, principal, registration_id, "block", who, already="BLOCKED", blocked_reason=reason)

    async def _apply(
        self,
        tx: Tx,
        principal: Principal,
        registration_id: str,
        event: StatusEvent,
        external_user_id: str | None,
        *,
        already: str | None = None,
        blocked_reason: str | None = None,
    ) -> type[RegistrationRefused] | None:
        """Changes the status; nothing to do when it is `already` so. Returns the refusal of one whose time is over."""
        registration = await self._looking.find(tx, principal, registration_id)
        if registration.is_expired(self._clock.now_ms()):
            await self._lifecycle.expire(tx, registration)
            return RegistrationChangeRefused
        if registration.status != already:
            await self._lifecycle.change(
                tx,
                registration,
                event,
                principal,
                blocked_reason=blocked_reason,
                external_user_id=external_user_id,
            )
        return None


def _commit_phase(command: CreateRegistration) -> str:
    """When the registration becomes ACTIVE, and its OTP is checked. Raises InvalidRequest that names the field."""
    validation = command.otp_validation
    if validation in (None, "NONE"):
        if validation == "NONE" and command.otp is not None:
            raise invalid_field("otp", "With otpValidation NONE no OTP is checked. Leave the field out.")
        return command.commit_phase or "ON_COMMIT"
    if command.commit_phase is not None:
        raise invalid_field("commitPhase", _ONE_OF_TWO, command.commit_phase)
    if validation == "ON_KEY_EXCHANGE" and command.otp is None:
        raise invalid_field("otp", "With otpValidation ON_KEY_EXCHANGE the OTP has to be set here.")
    return validation
