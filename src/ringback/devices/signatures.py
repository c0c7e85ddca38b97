"""Checking signatures: the hot path. One read, the HMACs, one guarded UPDATE and one audit row.

Source: PowerAuth specification, "Computing and Validating Signatures".
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from ringback.attempts import AttemptLimiter
from ringback.devices import queries
from ringback.devices.model import (
    MAX_FAILED_ATTEMPTS,
    POSSESSION,
    Registration,
    SignatureCheck,
    SignatureOutcome,
    next_status,
)
from ringback.errors import SignatureTypeInvalid
from ringback.principal import device
from ringback.protocols.powerauth.signature import SIGNATURE_TYPES, factor_keys, normalized_data, verify_signature
from ringback.protocols.powerauth.versions import accepts_signatures

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices.keys import RegistrationKeys
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.needs import Apps
    from ringback.protocols.powerauth.derived_keys import ActivationKeys
    from ringback.protocols.powerauth.signature import SignatureMatch
    from ringback.store import Tx

OK = "signature_ok"
DOES_NOT_MATCH = "signature_does_not_match"
INVALID_STATE = "activation_invalid_state"
INVALID_APPLICATION = "activation_invalid_application"

AUDITED_BODY_BYTES = 768
"""So much of a signed body is kept in the audit log: 1,024 characters of Base64."""

GUESSES_PER_MINUTE = 10
"""Wrong decimal signatures by possession alone of one registration: the database does not count failures of that type,
and eight digits could be found by trying."""


class Signatures:
    """Checks signatures and keeps the counters."""

    def __init__(self, *, clock: Clock, apps: Apps, keys: RegistrationKeys, lifecycle: Lifecycle) -> None:
        self._clock = clock
        self._apps = apps
        self._keys = keys
        self._lifecycle = lifecycle
        # In the memory of this process. A unit that runs again may count twice, which only makes the limit tighter.
        self._guesses = AttemptLimiter(clock=clock, per_minute=GUESSES_PER_MINUTE)

    async def check(
        self,
        tx: Tx,
        check: SignatureCheck,
        *,
        allowed_types: frozenset[str] | None,
        only_apps: frozenset[str] | None,
    ) -> SignatureOutcome:
        """See DevicesService.check_signature."""
        header = check.header
        if header.signature_type not in (SIGNATURE_TYPES if allowed_types is None else allowed_types):
            raise SignatureTypeInvalid
        registration = await tx.one(queries.registration_by_id, header.activation_id)
        if registration is None or (only_apps is not None and registration.app_id not in only_apps):
            return unknown(check)
        version = await self._apps.version_by_key(tx, header.application_key)
        if registration.is_expired(self._clock.now_ms()):
            registration = await self._lifecycle.expire(tx, registration)
        keys = self._keys.derived(registration)
        if registration.status != "ACTIVE" or registration.ctr_data is None or keys is None:
            await self.audit(tx, registration, INVALID_STATE, check)
            return outcome(registration, check, valid=False, remaining=0)
        if version is None or not version.supported or version.app_id != registration.app_id:
            return await self.failed(tx, registration, INVALID_APPLICATION, check)
        match = self._match(check, version.app_secret, registration, keys)
        if match is None:
            return await self.failed(tx, registration, DOES_NOT_MATCH, check)
        return await self.accepted(tx, registration, check, match)

    def _match(
        self, check: SignatureCheck, app_secret: str, registration: Registration, keys: ActivationKeys
    ) -> SignatureMatch | None:
        """The counter that the signature was made with. Digits that could be guessed are not even looked at."""
        header = check.header
        if header.version.signature_format == "base64":
            return _find(check, app_secret, registration, keys)
        guessable = header.signature_type == POSSESSION
        if not accepts_signatures(registration.protocol_version, header.version) or (
            guessable and self._guesses.is_exhausted(registration.id)
        ):
            return None
        match = _find(check, app_secret, registration, keys)
        if match is None and guessable:
            self._guesses.count_failure(registration.id)
        return match

    async def accepted(
        self, tx: Tx, registration: Registration, check: SignatureCheck, match: SignatureMatch
    ) -> SignatureOutcome:
        """Moves the counter behind the signature that was found, and clears the failures."""
        registration = msgspec.structs.replace(
            registration,
            ctr=registration.ctr + match.offset + 1,
            ctr_data=match.next_counter,
            failed_attempts=registration.failed_attempts if check.header.signature_type == POSSESSION else 0,
            last_used_at=self._clock.now_ms(),
        )
        registration = await self._save(tx, registration)
        await self.audit(tx, registration, OK, check)
        return outcome(registration, check, valid=True, remaining=registration.max_failed_attempts)

    async def failed(self, tx: Tx, registration: Registration, note: str, check: SignatureCheck) -> SignatureOutcome:
        """Counts the failure, and blocks the registration at the last one."""
        await self.audit(tx, registration, note, check)
        if check.header.signature_type == POSSESSION:
            return outcome(registration, check, valid=False, remaining=registration.remaining_attempts)
        failed = msgspec.structs.replace(
            registration,
            failed_attempts=registration.failed_attempts + 1,
            last_used_at=self._clock.now_ms(),
        )
        blocked = failed.remaining_attempts == 0
        if blocked:
            status = next_status(registration.status, "attempts_used_up")
            failed = msgspec.structs.replace(failed, status=status, blocked_reason=MAX_FAILED_ATTEMPTS)
        failed = await self._save(tx, failed)
        if blocked:
            details = {"blockedReason": MAX_FAILED_ATTEMPTS}
            principal = device(registration.id)
            await self._lifecycle.tell(tx, registration, "attempts_used_up", failed.status, principal, details)
        return outcome(failed, check, valid=False, remaining=failed.remaining_attempts)

    async def _save(self, tx: Tx, registration: Registration) -> Registration:
        found = (registration.id, registration.version)
        counted = (registration.failed_attempts, registration.last_used_at)
        if registration.status == "ACTIVE":
            await tx.run(queries.save_signature_check, *found, registration.ctr, registration.ctr_data, *counted)
        else:
            why = (registration.status, registration.blocked_reason)
            await tx.run(queries.save_attempts_used_up, *found, *why, *counted)
        return msgspec.structs.replace(registration, version=registration.version + 1)

    async def audit(self, tx: Tx, registration: Registration, note: str, check: SignatureCheck) -> None:
        """The audit row of one check."""
        details = {
            "method": check.method.upper(),
            "uriId": check.uri_id,
            "body": base64.b64encode(check.body[:AUDITED_BODY_BYTES]).decode("ascii"),
            "signatureType": check.header.signature_type,
        }
        await self._lifecycle.record(tx, device(registration.id), note, registration, details)


def _find(
    check: SignatureCheck, app_secret: str, registration: Registration, keys: ActivationKeys
) -> SignatureMatch | None:
    """The counter under which the phone signed the body, or what is in it."""
    header = check.header
    factors = factor_keys(keys, header.signature_type)
    for body in (check.body,) if check.plaintext is None else (check.body, check.plaintext):
        data = normalized_data(check.method, check.uri_id, header.nonce, body, app_secret)
        counter = registration.ctr_data or b""
        match = verify_signature(factors, counter, registration.look_ahead, data, header.signature, header.version)
        if match is not None:
            return match
    return None


def outcome(registration: Registration, check: SignatureCheck, *, valid: bool, remaining: int) -> SignatureOutcome:
    """What a check of a known registration came to."""
    return SignatureOutcome(
        valid=valid,
        registration_id=registration.id,
        user_id=registration.user_id,
        app_id=registration.app_id,
        status=registration.status,
        blocked_reason=registration.blocked_reason,
        signature_type=check.header.signature_type,
        remaining_attempts=remaining,
        flags=registration.flags,
        registration=registration,
    )


def unknown(check: SignatureCheck) -> SignatureOutcome:
    """What a check comes to when there is no such registration."""
    return SignatureOutcome(
        valid=False,
        registration_id=check.header.activation_id,
        user_id=None,
        app_id=None,
        status="REMOVED",
        blocked_reason=None,
        signature_type=check.header.signature_type,
        remaining_attempts=0,
        flags=(),
        registration=None,
    )
