"""The door class of the room: its units of work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ringback.devices import TWO_FACTORS
from ringback.errors import OperationNotFound
from ringback.operations import queries
from ringback.operations.answers import Answer, Answers, too_late
from ringback.operations.creation import Creation
from ringback.operations.lifecycle import EXPIRY, Lifecycle
from ringback.operations.model import FoundOperation, Operation, Verdict
from ringback.operations.offline import OfflineApproval
from ringback.operations.proximity import Proximity, Sealer
from ringback.operations.reading import PageWanted, Reading, Shown, find
from ringback.operations.schema_cloud import CreateOperation
from ringback.principal import Principal, device
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.clock import Clock, Randomness
    from ringback.devices import SignatureCheck
    from ringback.events import Events
    from ringback.operations.needs import AppAccess, FanOut, Phones
    from ringback.operations.templates import TemplatesService


class OperationsService:
    """Operations. Methods whose first argument is `tx` are units of work."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        access: AppAccess,
        devices: Phones,
        messages: FanOut,
        audit: AuditLog,
        events: Events,
        templates: TemplatesService,
        vault: Sealer,
        proximity_step_seconds: int = 30,
    ) -> None:
        proximity = Proximity(clock=clock, randomness=randomness, vault=vault, step_seconds=proximity_step_seconds)
        self._clock = clock
        self._devices = devices
        self._proximity = proximity
        self._lifecycle = Lifecycle(clock=clock, audit=audit, events=events)
        self._reading = Reading(clock=clock, access=access, devices=devices, templates=templates)
        self._answers = Answers(clock=clock, devices=devices, lifecycle=self._lifecycle, proximity=proximity)
        self.offline = OfflineApproval(
            clock=clock,
            access=access,
            devices=devices,
            lifecycle=self._lifecycle,
            reading=self._reading,
            proximity=proximity,
        )
        self._creation = Creation(
            clock=clock,
            randomness=randomness,
            access=access,
            devices=devices,
            messages=messages,
            audit=audit,
            events=events,
            templates=templates,
            proximity=proximity,
        )

    def is_overdue(self, operation: Operation) -> bool:
        """Whether it still says PENDING though its time is over: look again by a unit that may write."""
        return operation.is_overdue(self._clock.now_ms())

    def now_ms(self) -> int:
        """The server's time."""
        return self._clock.now_ms()

    def proximity_otp(self, operation: Operation) -> str | None:
        """What the back end shows next to the person now; None without a proximity check, or when it is over."""
        return self._proximity.otp(operation)

    # back end ---------------------------------------------------------------------------------------------------------

    async def create(self, tx: Tx, principal: Principal, command: CreateOperation) -> Operation:
        """A new operation in all apps of the principal, and a push to the user's phones unless it is silent.

        Raises TemplateNotFound, AppNotFound (the principal has no app), InvalidRequest naming the field.
        """
        return await self._creation.create(tx, principal, command)

    async def get(self, tx: Tx, principal: Principal, operation_id: str) -> Operation:
        """One operation, for reading only. Raises OperationNotFound."""
        operation = await self._reading.for_back_end(tx, principal, operation_id)
        if operation is None:
            raise OperationNotFound
        return operation

    async def with_apps(self, tx: Tx, operation_id: str) -> FoundOperation | None:
        """For other rooms: one operation with its apps, whoever's it is."""
        return await find(tx, operation_id)

    async def get_current(self, tx: Tx, principal: Principal, operation_id: str) -> Operation:
        """One operation; one whose time is over expires now. Raises OperationNotFound."""
        operation = await self.get(tx, principal, operation_id)
        return await self._expire(tx, operation) if self.is_overdue(operation) else operation

    async def page(self, tx: Tx, principal: Principal, wanted: PageWanted) -> list[Operation]:
        """Some of a user's operations in the principal's apps, newest first, for reading only."""
        return await self._reading.page(tx, principal, wanted)

    async def cancel(
        self, tx: Tx, principal: Principal, operation_id: str, reason: str | None
    ) -> Literal["DONE", "NOT_PENDING"]:
        """The back end takes a pending operation back. Raises OperationNotFound."""
        operation = await self.get_current(tx, principal, operation_id)
        if operation.status != "PENDING":
            return "NOT_PENDING"
        await self._lifecycle.finish(tx, principal, operation, "CANCEL", reason=reason)
        return "DONE"

    # phones -----------------------------------------------------------------------------------------------------------

    async def pending(self, tx: Tx, registration_id: str, languages: Sequence[str]) -> list[Shown]:
        """What an authenticated phone may approve now, at most 100, newest first. Reads only."""
        return await self._reading.pending(tx, registration_id, languages)

    async def history(self, tx: Tx, check: SignatureCheck, languages: Sequence[str]) -> tuple[Verdict, list[Shown]]:
        """What a phone that signs with two factors may see of its user's operations, at most 100, newest first."""
        signature = await self._devices.check_signature(tx, check, allowed_types=TWO_FACTORS)
        if not signature.valid or signature.registration is None:
            return "NOT_AUTHENTICATED", []
        return "DONE", await self._reading.history(tx, signature.registration, languages)

    async def detail(
        self, tx: Tx, registration_id: str, operation_id: str, languages: Sequence[str]
    ) -> tuple[Verdict, Shown | None]:
        """One pending operation for an authenticated phone, or why not. One whose time is over expires now."""
        return await self._detail(tx, registration_id, operation_id, languages, claims=False)

    async def claim(
        self, tx: Tx, registration_id: str, operation_id: str, languages: Sequence[str]
    ) -> tuple[Verdict, Shown | None]:
        """As `detail`; an operation that is nobody's becomes this phone's user's. One of many phones wins."""
        return await self._detail(tx, registration_id, operation_id, languages, claims=True)

    async def authorize(self, tx: Tx, answer: Answer) -> Verdict:
        """A phone approves: signature and approval in one unit; only one of many wins, the others come too late."""
        return await self._answers.authorize(tx, answer)

    async def reject(self, tx: Tx, answer: Answer) -> Verdict:
        """A phone rejects."""
        return await self._answers.reject(tx, answer)

    # jobs -------------------------------------------------------------------------------------------------------------

    async def expire_operations(self, tx: Tx, limit: int) -> int:
        """Ends up to `limit` operations whose time is over; returns how many."""
        expired = await tx.all(queries.expire_overdue, self._clock.now_ms(), limit)
        for operation_id, user_id in expired:
            await self._lifecycle.expired(tx, operation_id, user_id)
        return len(expired)

    async def _detail(
        self, tx: Tx, registration_id: str, operation_id: str, languages: Sequence[str], *, claims: bool
    ) -> tuple[Verdict, Shown | None]:
        found = await self._reading.for_phone(tx, registration_id, operation_id)
        if found is None:
            return "UNKNOWN", None
        operation, phone = found
        texts = await self._reading.texts(tx, operation.operation_type, languages)
        if self.is_overdue(operation):
            operation = await self._expire(tx, operation)
        if operation.status != "PENDING":
            return too_late(operation), None
        if not operation.has_flag_of(phone.flags):
            return "FLAG_MISSING", None
        if texts is None:
            return "UNKNOWN", None
        if claims and operation.user_id is None:
            principal = device(registration_id)
            operation = await self._lifecycle.claim(tx, principal, operation, phone.user_id, phone.app_id)
        return "DONE", (operation, texts)

    async def _expire(self, tx: Tx, operation: Operation) -> Operation:
        return await self._lifecycle.finish(tx, EXPIRY, operation, "EXPIRE")
