"""What a back end does with registrations: create, look, commit, block, unblock, remove."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.clock import new_id
from ringback.devices import queries
from ringback.devices.model import NOT_SPECIFIED, SUITE_P256, Registration, StatusEvent
from ringback.devices.schema import (
    ChangeRegistration,
    CommitRegistration,
    CreatedRegistration,
    CreateRegistration,
    DeleteRegistration,
    RegistrationDetail,
    RegistrationItem,
)
from ringback.errors import (
    AppNotFound,
    RegistrationChangeRefused,
    RegistrationNotAllowed,
    RegistrationNotFound,
    RegistrationRefused,
    invalid_field,
)
from ringback.protocols.powerauth.activation_code import build_qr, generate_activation_code, sign_activation_code
from ringback.protocols.powerauth.fingerprint import activation_fingerprint
from ringback.protocols.powerauth.keys import public_key_from_bytes

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.model import DeviceLimits
    from ringback.devices.needs import AppAccess, Apps
    from ringback.principal import Principal
    from ringback.protocols.powerauth.keys import PrivateKey
    from ringback.store import Tx

_NO_OTP = "This server does not check activation OTPs. Leave the field out."


class ExpiryDue(Exception):
    """A reading unit met registrations whose time is over; they must be removed before it can answer."""

    def __init__(self, registration_ids: list[str]) -> None:
        super().__init__(registration_ids)
        self.registration_ids = registration_ids


class Registrations:
    """The back end's side of the room."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        apps: Apps,
        access: AppAccess,
        lifecycle: Lifecycle,
        limits: DeviceLimits,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._apps = apps
        self._access = access
        self._lifecycle = lifecycle
        self._limits = limits

    async def create(
        self, tx: Tx, principal: Principal, command: CreateRegistration, *, only_one: bool
    ) -> CreatedRegistration:
        """See DevicesService.create_registration."""
        now = self._clock.now_ms()
        expires_at = self._check(command, now)
        if command.app_id not in await self._access.apps_of(tx, principal):
            raise AppNotFound
        master_key = await self._apps.master_private_key(tx, command.app_id)
        if only_one:
            await tx.one(queries.lock_user, f"{command.app_id}\n{command.user_id}")
            if await tx.one(queries.in_progress_of_user, command.user_id, command.app_id, now) is not None:
                raise RegistrationNotAllowed
        code = generate_activation_code(self._randomness.bytes)
        registration_id = new_id(self._clock, self._randomness)
        await tx.run(
            queries.insert_registration,
            registration_id,
            command.app_id,
            command.user_id,
            SUITE_P256,
            msgspec.json.encode(command.flags or []).decode(),
            code,
            command.commit_phase or "ON_COMMIT",
            self._limits.max_failed_attempts,
            self._limits.signature_look_ahead,
            now,
            expires_at,
        )
        await self._lifecycle.created(tx, principal, registration_id, command.app_id, command.user_id)
        signature, qr = _signed(master_key, code)
        return CreatedRegistration(registration_id, code, signature, qr)

    def _check(self, command: CreateRegistration, now: int) -> int:
        """What the shape cannot say; returns the time of expiry."""
        if command.otp is not None:
            raise invalid_field("otp", _NO_OTP)
        if command.otp_validation not in (None, "NONE"):
            raise invalid_field("otpValidation", _NO_OTP, command.otp_validation)
        expires_at = command.timestamp_registration_expire
        if expires_at is None:
            return now + self._limits.activation_validity_seconds * 1000
        if expires_at <= now:
            raise invalid_field("timestampRegistrationExpire", "The time must be in the future.", expires_at)
        return expires_at

    # looking ----------------------------------------------------------------------------------------------------------

    async def list_of_user(
        self, tx: Tx, principal: Principal, user_id: str, *, with_removed: bool
    ) -> list[RegistrationItem]:
        """See DevicesService.list_registrations."""
        apps = await self._access.apps_of(tx, principal)
        query = queries.registrations_of_user_with_removed if with_removed else queries.registrations_of_user
        found = [registration for registration in await tx.all(query, user_id) if registration.app_id in apps]
        self._demand_expiry(found)
        return [RegistrationItem(**_item(registration)) for registration in found]

    async def detail(self, tx: Tx, principal: Principal, registration_id: str) -> RegistrationDetail:
        """See DevicesService.registration_detail."""
        registration = await self._find(tx, principal, registration_id)
        self._demand_expiry([registration])
        shown = RegistrationDetail(**_item(registration), user_id=registration.user_id)
        if registration.status == "CREATED":
            code = registration.activation_code
            signature, qr = _signed(await self._apps.master_private_key(tx, registration.app_id), code)
            return msgspec.structs.replace(
                shown, activation_code=code, activation_code_signature=signature, activation_qr_code_data=qr
            )
        if registration.status == "PENDING_COMMIT":
            return msgspec.structs.replace(shown, activation_fingerprint=_fingerprint(registration))
        return shown

    def _demand_expiry(self, registrations: list[Registration]) -> None:
        now = self._clock.now_ms()
        overdue = [registration.id for registration in registrations if registration.is_expired(now)]
        if overdue:
            raise ExpiryDue(overdue)

    async def expire_due(self, tx: Tx, registration_ids: list[str]) -> None:
        """Unit: removes those of these registrations whose time is over."""
        now = self._clock.now_ms()
        for registration_id in registration_ids:
            registration = await tx.one(queries.registration_by_id, registration_id)
            if registration is not None and registration.is_expired(now):
                await self._lifecycle.expire(tx, registration)

    # changing ---------------------------------------------------------------------------------------------------------

    async def commit(
        self, tx: Tx, principal: Principal, registration_id: str, command: CommitRegistration
    ) -> type[RegistrationRefused] | None:
        """See DevicesService.commit_registration."""
        if command.otp is not None:
            raise invalid_field("otp", _NO_OTP)
        return await self._apply(tx, principal, registration_id, "commit", command.external_user_id)

    async def cancel(
        self, tx: Tx, principal: Principal, registration_id: str, command: DeleteRegistration
    ) -> type[RegistrationRefused] | None:
        """See DevicesService.cancel_registration."""
        return await self._apply(tx, principal, registration_id, "cancel", command.external_user_id)

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
        registration = await self._find(tx, principal, registration_id)
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

    async def _find(self, tx: Tx, principal: Principal, registration_id: str) -> Registration:
        """The registration, if the principal may know about it. Raises RegistrationNotFound."""
        apps = await self._access.apps_of(tx, principal)
        if "\0" in registration_id:
            raise RegistrationNotFound
        registration = await tx.one(queries.registration_by_id, registration_id)
        if registration is None or registration.app_id not in apps:
            raise RegistrationNotFound
        return registration


def _signed(master_key: PrivateKey, code: str) -> tuple[str, str]:
    """Signature of an activation code in Base64, and the text of its QR code."""
    signature = sign_activation_code(master_key, code)
    return base64.b64encode(signature).decode("ascii"), build_qr(code, signature)


def _fingerprint(registration: Registration) -> str | None:
    if registration.device_public_key is None or registration.server_public_key is None:
        return None
    device_public = public_key_from_bytes(registration.device_public_key)
    return activation_fingerprint(device_public, registration.id, public_key_from_bytes(registration.server_public_key))


def _item(registration: Registration) -> dict[str, Any]:
    return {
        "registration_id": registration.id,
        "registration_status": registration.status,
        "application_id": registration.app_id,
        "flags": registration.flags,
        "timestamp_created": registration.created_at,
        "timestamp_last_used": registration.last_used_at,
        "blocked_reason": registration.blocked_reason,
        "name": registration.name,
        "platform": registration.platform,
        "device_info": registration.device_info,
    }
