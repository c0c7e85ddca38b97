"""What a phone answers to an operation: approved or rejected. Every refusal is returned, so that its mark is kept.

Order of the rules: PowerAuth server, OperationServiceBehavior, "approve operation"; codes: Mobile Token API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.devices import TWO_FACTORS, WITH_POSSESSION
from ringback.operations.lifecycle import EXPIRY, PROXIMITY_OTP, Lifecycle
from ringback.operations.model import Event, FoundOperation, Operation, Verdict
from ringback.operations.reading import find, is_for
from ringback.principal import device
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices import SignatureCheck, SignatureOutcome
    from ringback.operations.needs import Phones
    from ringback.operations.proximity import Proximity

REJECTED_UNKNOWN = "UNKNOWN"
USER_AGENT_LIMIT = 500
OTP_LIMIT = 16


class Answer(msgspec.Struct, frozen=True):
    """A signed answer, and how the request came.

    `data`: what the person saw; `otp`: what the phone read near the person; `reason`: of a rejection.
    """

    check: SignatureCheck
    operation_id: str
    address: str
    user_agent: str | None
    data: str = ""
    otp: str | None = None
    reason: str | None = None


class Answers:
    """Decides about answers."""

    def __init__(self, *, clock: Clock, devices: Phones, lifecycle: Lifecycle, proximity: Proximity) -> None:
        self._clock = clock
        self._devices = devices
        self._lifecycle = lifecycle
        self._proximity = proximity

    async def authorize(self, tx: Tx, answer: Answer) -> Verdict:
        """Checks the signature and approves, in one unit."""
        found = await find(tx, answer.operation_id)
        allowed = TWO_FACTORS if found is None else TWO_FACTORS.union(found.operation.signature_type_list())
        signature = await self._devices.check_signature(tx, answer.check, allowed_types=allowed)
        if found is not None and found.operation.is_overdue(self._clock.now_ms()):
            found = await self._expire(tx, found)
        if not signature.valid:
            if found is not None and _may_answer(found, signature):
                # Who sent it is not proven: only where it came from is noted.
                await self._count_failure(tx, found, signature, "signature", _came_from(answer))
            return "NOT_AUTHENTICATED"
        if found is None:
            return "UNKNOWN"
        verdict, failure = self._judge(found, answer, signature)
        noted = _noted(answer, signature)
        if failure is not None:
            known = noted if _may_answer(found, signature) else None
            await self._count_failure(tx, found, signature, failure, known)
        if verdict == "DONE":
            await self._finish(tx, found.operation, "APPROVE", signature, noted)
        return verdict

    async def reject(self, tx: Tx, answer: Answer) -> Verdict:
        """Checks the signature, of any factors, and rejects, in one unit. Failures are not counted."""
        found = await find(tx, answer.operation_id)
        signature = await self._devices.check_signature(tx, answer.check, allowed_types=WITH_POSSESSION)
        if not signature.valid:
            return "NOT_AUTHENTICATED"
        if found is None or not _may_answer(found, signature):
            return "UNKNOWN"
        if found.operation.is_overdue(self._clock.now_ms()):
            found = await self._expire(tx, found)
        operation = found.operation
        if operation.status != "PENDING":
            return too_late(operation)
        if not operation.has_flag_of(signature.flags):
            return "FLAG_MISSING"
        noted = {**_noted(answer, signature), "rejectReason": answer.reason or REJECTED_UNKNOWN}
        await self._finish(tx, operation, "REJECT", signature, noted)
        return "DONE"

    def _judge(self, found: FoundOperation, answer: Answer, signature: SignatureOutcome) -> tuple[Verdict, str | None]:
        """What comes of an approval whose signature is right, and why it counts as a failure, if it does."""
        operation = found.operation
        if not _may_answer(found, signature):
            # Told as if there were no such operation, and counted nevertheless.
            return "UNKNOWN", "not for this phone"
        if operation.status != "PENDING":
            return too_late(operation), None
        if not operation.has_flag_of(signature.flags):
            return "FLAG_MISSING", None
        failure = self._mismatch(operation, answer, signature)
        return ("DONE", None) if failure is None else ("REFUSED", failure)

    def _mismatch(self, operation: Operation, answer: Answer, signature: SignatureOutcome) -> str | None:
        if operation.data != answer.data:
            return "data"
        if signature.signature_type not in operation.signature_type_list():
            return "signature type"
        return None if self._proximity.passes(operation, answer.otp) else "proximity check"

    async def _finish(
        self, tx: Tx, operation: Operation, event: Event, signature: SignatureOutcome, noted: dict[str, Any]
    ) -> None:
        await self._lifecycle.finish(
            tx,
            device(signature.registration_id),
            operation,
            event,
            user_id=signature.user_id,
            app_id=signature.app_id,
            additional=noted,
        )

    async def _count_failure(
        self, tx: Tx, found: FoundOperation, signature: SignatureOutcome, cause: str, noted: dict[str, Any] | None
    ) -> None:
        if found.operation.status == "PENDING":
            principal = device(signature.registration_id)
            # The back end of a phone of another app must not read in its audit log whose operation this is.
            app_id = signature.app_id if signature.app_id in found.app_ids else None
            await self._lifecycle.count_failure(tx, principal, found.operation, cause, app_id, noted)

    async def _expire(self, tx: Tx, found: FoundOperation) -> FoundOperation:
        expired = await self._lifecycle.finish(tx, EXPIRY, found.operation, "EXPIRE")
        return FoundOperation(expired, found.app_ids)


def _may_answer(found: FoundOperation, signature: SignatureOutcome) -> bool:
    return signature.registration is not None and is_for(found, signature.registration)


def _came_from(answer: Answer) -> dict[str, Any]:
    agent = {"userAgent": answer.user_agent[:USER_AGENT_LIMIT]} if answer.user_agent else {}
    return {"ipAddress": answer.address, **agent}


def _noted(answer: Answer, signature: SignatureOutcome) -> dict[str, Any]:
    """What is kept about who answered, by the names that callbacks and back ends know."""
    return {
        "activationId": signature.registration_id,
        "applicationId": signature.app_id,
        **_came_from(answer),
        "authFactor": signature.signature_type,
        **({} if answer.otp is None else {PROXIMITY_OTP: answer.otp[:OTP_LIMIT]}),
    }


def too_late(operation: Operation) -> Verdict:
    """What a phone is told about an operation that is finished."""
    if operation.status in {"APPROVED", "REJECTED"}:
        return "FINISHED"
    if operation.status == "CANCELED":
        return "CANCELED"
    return "EXPIRED" if operation.status == "EXPIRED" else "FAILED"
