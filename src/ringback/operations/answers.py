"""What a phone answers to an operation: approved, rejected, claimed. Every refusal is returned, so that its mark is kept.

Order of the rules: PowerAuth server, OperationServiceBehavior, "approve operation"; codes: Mobile Token API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.operations.creation import additional
from ringback.operations.lifecycle import EXPIRY, Lifecycle
from ringback.operations.model import Caller, FoundOperation, Operation, Verdict
from ringback.operations.reading import find
from ringback.principal import device
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices import SignatureCheck, SignatureOutcome
    from ringback.operations.needs import Phones

TWO_FACTORS = frozenset({"possession_knowledge", "possession_biometry", "possession_knowledge_biometry"})
ANY_FACTORS = TWO_FACTORS | {"possession"}
REJECTED_UNKNOWN = "UNKNOWN"


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
        principal = device(signature.registration_id)
        if found is not None and found.operation.is_overdue(self._clock.now_ms()):
            found = await self._expire(tx, found)
        if not signature.valid:
            if found is not None and found.operation.status == "PENDING" and _may_answer(found, signature):
                cause = "signature"
                await self._lifecycle.count_failure(tx, principal, found.operation, cause, signature.app_id)
            return "NOT_AUTHENTICATED"
        if found is None:
            return "UNKNOWN"
        operation = found.operation
        caller = _caller(signature, answer)
        if not _may_answer(found, signature):
            # Answered as if there were no such operation; a pending one counts the attempt nevertheless.
            if operation.status == "PENDING":
                await self._lifecycle.count_failure(tx, principal, operation, "not for this phone", caller.app_id)
            return "UNKNOWN"
        if operation.status != "PENDING":
            return too_late(operation)
        if operation.activation_flag is not None and operation.activation_flag not in caller.flags:
            return "FLAG_MISSING"
        cause = self._mismatch(operation, answer, signature)
        if cause is not None:
            await self._lifecycle.count_failure(tx, principal, operation, cause, caller.app_id)
            return "REFUSED"
        noted = additional(
            caller.registration_id, caller.app_id, caller.address, caller.user_agent, signature.signature_type
        )
        await self._lifecycle.finish(
            tx,
            principal,
            operation,
            "APPROVE",
            user_id=caller.user_id,
            app_id=caller.app_id,
            additional=noted,
        )
        return "DONE"

    async def reject(self, tx: Tx, answer: Answer) -> Verdict:
        """Checks the signature, of any factors, and rejects, in one unit. Failures are not counted."""
        found = await find(tx, answer.operation_id)
        signature = await self._devices.check_signature(tx, answer.check, allowed_types=ANY_FACTORS)
        if not signature.valid:
            return "NOT_AUTHENTICATED"
        if found is None or not _may_answer(found, signature):
            return "UNKNOWN"
        if found.operation.is_overdue(self._clock.now_ms()):
            found = await self._expire(tx, found)
        operation = found.operation
        if operation.status != "PENDING":
            return too_late(operation)
        caller = _caller(signature, answer)
        noted = additional(
            caller.registration_id, caller.app_id, caller.address, caller.user_agent, signature.signature_type
        )
        await self._lifecycle.finish(
            tx,
            device(caller.registration_id),
            operation,
            "REJECT",
            user_id=caller.user_id,
            app_id=caller.app_id,
            additional={**noted, "rejectReason": answer.reason or REJECTED_UNKNOWN},
        )
        return "DONE"

    def _mismatch(self, operation: Operation, answer: Answer, signature: SignatureOutcome) -> str | None:
        if operation.data != answer.data:
            return "data"
        if signature.signature_type not in operation.signature_type_list():
            return "signature type"
        return None

    async def _expire(self, tx: Tx, found: FoundOperation) -> FoundOperation:
        expired = await self._lifecycle.finish(tx, EXPIRY, found.operation, "EXPIRE")
        return FoundOperation(expired, found.app_ids)


def _may_answer(found: FoundOperation, signature: SignatureOutcome) -> bool:
    """Whether the operation is for the phone that signed: its user, its app, and itself where it is for one phone."""
    operation = found.operation
    return (
        signature.user_id is not None
        and operation.user_id in {None, signature.user_id}
        and signature.app_id in found.app_ids
        and operation.registration_id in {None, signature.registration_id}
    )


def _caller(signature: SignatureOutcome, answer: Answer) -> Caller:
    return Caller(
        registration_id=signature.registration_id,
        user_id=signature.user_id or "",
        app_id=signature.app_id or "",
        flags=tuple(signature.flags),
        address=answer.address,
        user_agent=answer.user_agent,
    )


def _too_late(operation: Operation) -> Verdict:
    return too_late(operation)


def too_late(operation: Operation) -> Verdict:
    """What a phone is told about an operation that is finished."""
    if operation.status in {"APPROVED", "REJECTED"}:
        return "FINISHED"
    if operation.status == "CANCELED":
        return "CANCELED"
    return "EXPIRED" if operation.status == "EXPIRED" else "FAILED"
