"""Approving without a network: a QR text for one phone, and the digits that its owner types in return.

Source: Mobile Token API, "Off-line Signature QR Code". A right answer approves; a wrong one is a failed signature and a
failed approval, exactly as if the phone had sent it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from ringback.devices import OFFLINE_TYPES, OfflineCheck
from ringback.errors import (
    OfflineNotPossible,
    OperationNotFound,
    OperationStateChangeRefused,
    RegistrationNotFound,
    RegistrationRefused,
)
from ringback.languages import DEFAULT_LANGUAGE
from ringback.operations.lifecycle import EXPIRY
from ringback.operations.reading import find, is_for
from ringback.principal import device
from ringback.protocols.powerauth.offline_qr import BIOMETRY, OFFLINE_URI, OfflineOperation, operation_lines

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices import OfflinePayload, Registration, SignatureOutcome
    from ringback.operations.lifecycle import Lifecycle
    from ringback.operations.model import FoundOperation, Operation
    from ringback.operations.needs import AppAccess, Phones
    from ringback.operations.proximity import Proximity
    from ringback.operations.reading import Reading
    from ringback.principal import Principal
    from ringback.store import Store, Tx

RISK_FLAGS = "XFC"
WITH_BIOMETRY = "possession_biometry"


class Typed(msgspec.Struct, frozen=True):
    """The digits that a person typed, and the nonce of the QR text."""

    registration_id: str
    otp: str
    nonce: bytes


class _Asked(msgspec.Struct, frozen=True):
    """An operation and the phone that is to answer it."""

    found: FoundOperation
    phone: Registration

    @property
    def operation(self) -> Operation:
        """The operation."""
        return self.found.operation


class OfflineApproval:
    """Makes the QR texts and takes the digits."""

    def __init__(
        self,
        *,
        clock: Clock,
        access: AppAccess,
        devices: Phones,
        lifecycle: Lifecycle,
        reading: Reading,
        proximity: Proximity,
    ) -> None:
        self._clock = clock
        self._access = access
        self._devices = devices
        self._lifecycle = lifecycle
        self._reading = reading
        self._proximity = proximity

    async def qr(self, store: Store, principal: Principal, operation_id: str, registration_id: str) -> OfflinePayload:
        """The QR text of a pending operation, signed by the server's key of the phone.

        Raises OperationNotFound, OperationStateChangeRefused, RegistrationNotFound, RegistrationChangeRefused,
        RegistrationRefused (the phone lacks the operation's flag), OfflineNotPossible.
        """
        phone, operation, lines = await store.read(self._lines, principal, operation_id, registration_id)
        return self._devices.offline_payload(phone, lines, totp=self._proximity.otp(operation))

    async def approve(
        self, tx: Tx, principal: Principal, operation_id: str, typed: Typed
    ) -> SignatureOutcome | Literal["NOT_PENDING"]:
        """Unit: checks the digits and approves. Raises as `qr`; one whose time is over expires and is NOT_PENDING."""
        asked = await self._asked(tx, principal, operation_id, typed.registration_id)
        operation = asked.operation
        if operation.is_overdue(self._clock.now_ms()):
            operation = await self._lifecycle.finish(tx, EXPIRY, operation, "EXPIRE")
        if operation.status != "PENDING":
            return "NOT_PENDING"
        otps = self._proximity.acceptable(operation) or (None,)
        check = OfflineCheck(
            registration_id=asked.phone.id,
            uri_id=OFFLINE_URI,
            nonce=typed.nonce,
            otp=typed.otp,
            bodies=tuple(_bare(operation).signed_data(otp).encode() for otp in otps),
            signature_types=_signature_types(operation),
        )
        outcome = await self._devices.check_offline_signature(tx, check, only_apps=asked.found.app_ids)
        who = device(asked.phone.id)
        noted = {"activationId": asked.phone.id, "applicationId": asked.phone.app_id}
        if not outcome.valid:
            await self._lifecycle.count_failure(tx, who, operation, "offline signature", asked.phone.app_id, noted)
            return outcome
        noted["authFactor"] = outcome.signature_type
        await self._lifecycle.finish(
            tx, who, operation, "APPROVE", user_id=outcome.user_id, app_id=outcome.app_id, additional=noted
        )
        return outcome

    async def _lines(
        self, tx: Tx, principal: Principal, operation_id: str, registration_id: str
    ) -> tuple[Registration, Operation, str]:
        asked = await self._asked(tx, principal, operation_id, registration_id)
        operation = asked.operation
        if operation.as_of(self._clock.now_ms()).status != "PENDING":
            raise OperationStateChangeRefused
        texts = await self._reading.texts(tx, operation.operation_type, [operation.language or DEFAULT_LANGUAGE])
        parameters = operation.parameter_map()
        shown = OfflineOperation(
            id=operation.id,
            title=operation.operation_type if texts is None else texts.title(parameters),
            message="" if texts is None else texts.message(parameters),
            data=operation.data,
            flags=_flags(operation),
        )
        try:
            return asked.phone, operation, operation_lines(shown)
        except ValueError as error:
            raise OfflineNotPossible(cause=error) from error

    async def _asked(self, tx: Tx, principal: Principal, operation_id: str, registration_id: str) -> _Asked:
        """Reads only. What the principal may not see is unknown to it."""
        app_ids = await self._access.apps_of(tx, principal)
        found = None if "\0" in operation_id else await find(tx, operation_id)
        if found is None or not found.app_ids & app_ids:
            raise OperationNotFound
        phone = await self._devices.registration(tx, registration_id)
        if phone is None or phone.app_id not in app_ids or not is_for(found, phone):
            raise RegistrationNotFound
        if not found.operation.has_flag_of(phone.flags):
            raise RegistrationRefused("The operation needs a flag that this registration does not have.")
        if not _signature_types(found.operation):
            raise OfflineNotPossible
        return _Asked(found, phone)


def _signature_types(operation: Operation) -> tuple[str, ...]:
    allowed = operation.signature_type_list()
    return tuple(kind for kind in OFFLINE_TYPES if kind in allowed)


def _flags(operation: Operation) -> str:
    biometry = BIOMETRY if WITH_BIOMETRY in operation.signature_type_list() else ""
    return biometry + "".join(flag for flag in RISK_FLAGS if flag in operation.risk_flags)


def _bare(operation: Operation) -> OfflineOperation:
    return OfflineOperation(operation.id, "", "", operation.data, "")
