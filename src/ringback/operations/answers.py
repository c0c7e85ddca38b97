"""What a phone answers to an operation: approved or rejected. Every refusal is returned, so that its mark is kept.

Order of the rules: PowerAuth server, OperationServiceBehavior, "approve operation"; codes: Mobile Token API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.devices import TWO_FACTORS, WITH_POSSESSION
from ringback.operations.lifecycle import EXPIRY, Lifecycle
from ringback.operations.model import Event, FoundOperation, Operation, Verdict
from ringback.operations.reading import find, is_for
from ringback.principal import device
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices import SignatureCheck, SignatureOutcome
    from ringback.operations.needs import Phones

REJECTED_UNKNOWN = "UNKNOWN"
USER_AGENT_LIMIT = 500


class Answer(msgspec.Struct, frozen=True):
    """A signed answer, and how the request came. `data`: what the person saw; `reason`: of a rejection."""

    check: SignatureCheck
    operation_id: str
    address: str
    user_agent: str | None
    data: str = ""
    reason: str | None = None


class Answers:
    """Decides about answers."""

    def __init__(self, *, clock: Clock, devices: Phones, lifecycle: Lifecycle) -> None:
        self._clock = clock
        self._devices = devices
        self._lifecycle = lifecycle

    async def authorize(self, tx: Tx, answer: Answer) -> Verdict:
        """Checks the signature and approves, in one unit."""
        found = await find(tx, answer.operation_id)
        allowed = TWO_FACTORS if found is None else TWO_FACTORS.union(found.operation.signature_type_list())
        signature = await self._devices.check_signature(tx, answer.check, allowed_types=allowed)
        if found is not None and found.operation.is_overdue(self._clock.now_ms()):
            found = await self._expire(tx, found)
        if not signature.valid:
            if found is not None and _may_answer(found, signature):
                await self._count_failure(tx, found.operation, signature, "signature")
            return "NOT_AUTHENTICATED"
        if found is None:
            return "UNKNOWN"
        verdict, failure = _judge(found, answer, signature)
        if failure is not None:
            await self._count_failure(tx, found.operation, signature, failure)
        if verdict == "DONE":
            await self._finish(tx, found.operation, "APPROVE", answer, signature, {})
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
        await self._finish(
            tx, operation, "REJECT", answer, signature, {"rejectReason": answer.reason or REJECTED_UNKNOWN}
        )
        return "DONE"

    async def _finish(
        self,
        tx: Tx,
        operation: Operation,
        event: Event,
        answer: Answer,
        signature: SignatureOutcome,
        more: dict[str, Any],
    ) -> None:
        noted = {
            "activationId": signature.registration_id,
            "applicationId": signature.app_id,
            "ipAddress": answer.address,
            "authFactor": signature.signature_type,
            **more,
        }
        if answer.user_agent:
            noted["userAgent"] = answer.user_agent[:USER_AGENT_LIMIT]
        await self._lifecycle.finish(
            tx,
            device(signature.registration_id),
            operation,
            event,
            user_id=signature.user_id,
            app_id=signature.app_id,
            additional=noted,
        )

    async def _count_failure(self, tx: Tx, operation: Operation, signature: SignatureOutcome, cause: str) -> None:
        if operation.status == "PENDING":
            principal = device(signature.registration_id)
            await self._lifecycle.count_failure(tx, principal, operation, cause, signature.app_id)

    async def _expire(self, tx: Tx, found: FoundOperation) -> FoundOperation:
        expired = await self._lifecycle.finish(tx, EXPIRY, found.operation, "EXPIRE")
        return FoundOperation(expired, found.app_ids)


def _may_answer(found: FoundOperation, signature: SignatureOutcome) -> bool:
    return signature.registration is not None and is_for(found, signature.registration)


def _judge(found: FoundOperation, answer: Answer, signature: SignatureOutcome) -> tuple[Verdict, str | None]:
    """What comes of an approval whose signature is right, and why it counts as a failure, if it does."""
    operation = found.operation
    if not _may_answer(found, signature):
        # Told as if there were no such operation, and counted nevertheless.
        return "UNKNOWN", "not for this phone"
    if operation.status != "PENDING":
        return too_late(operation), None
    if operation.activation_flag is not None and operation.activation_flag not in signature.flags:
        return "FLAG_MISSING", None
    if operation.data != answer.data:
        return "REFUSED", "data"
    if signature.signature_type not in operation.signature_type_list():
        return "REFUSED", "signature type"
    return "DONE", None


def too_late(operation: Operation) -> Verdict:
    """What a phone is told about an operation that is finished."""
    if operation.status in {"APPROVED", "REJECTED"}:
        return "FINISHED"
    if operation.status == "CANCELED":
        return "CANCELED"
    return "EXPIRED" if operation.status == "EXPIRED" else "FAILED"
