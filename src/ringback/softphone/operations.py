"""What a phone does with operations: list, show, claim, approve, reject, look back, answer without a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.protocols.powerauth.errors import InvalidOperationLink
from ringback.protocols.powerauth.operation_link import OperationLink, parse_link
from ringback.softphone.client import POSSESSION, Unlock
from ringback.softphone.errors import OperationLinkRefused, OperationUnknown, RefusedByServer
from ringback.softphone.offline import OfflineAnswer, answer_offline, read_offline_qr
from ringback.softphone.wire import OperationList, PhoneOperation, PhoneRequest, Plain, StatusOnly, plain_body

if TYPE_CHECKING:
    from ringback.softphone.state import StateKeeper

T = TypeVar("T")
_BASE = "/api/auth/token/app/operation"
_UNKNOWN = frozenset({"INVALID_OPERATION", "INVALID_REQUEST"})


class OperationsOfPhone(ABC):
    """The part of `Phone` that is about operations."""

    _keeper: StateKeeper

    @abstractmethod
    async def _send(self, request: PhoneRequest, shape: type[T]) -> T: ...

    @abstractmethod
    async def _send_signed(self, unlock: Unlock, path: str, uri_id: str, body: bytes, shape: type[T]) -> T: ...

    @abstractmethod
    async def _token_request(self, path: str, content: object) -> PhoneRequest: ...

    @abstractmethod
    def _now_ms(self) -> int: ...

    async def list_operations(self) -> list[PhoneOperation]:
        """What waits for this phone's answer."""
        answer = await self._send(await self._token_request(f"{_BASE}/list", {}), OperationList)
        return answer.response_object

    async def operation_history(self, unlock: Unlock) -> list[PhoneOperation]:
        """The user's operations in every status, newest first. Raises SignatureRefused."""
        path, uri_id = f"{_BASE}/history", "/operation/history"
        answer = await self._send_signed(unlock, path, uri_id, plain_body({}), OperationList)
        return answer.response_object

    async def operation_detail(self, operation_id: str) -> PhoneOperation:
        """One operation. Raises OperationUnknown."""
        return await self._ask_for("detail", operation_id)

    async def claim(self, operation_id: str) -> PhoneOperation:
        """Makes an operation that is nobody's this phone's user's. Raises OperationUnknown when another was faster."""
        return await self._ask_for("detail/claim", operation_id)

    async def approve(self, operation_id: str, unlock: Unlock) -> PhoneOperation:
        """Approves what the phone shows: the operation's data are fetched and sent back under the signature.

        Raises OperationUnknown, SignatureRefused, RefusedByServer (finished, expired, cancelled meanwhile).
        """
        operation = await self.operation_detail(operation_id)
        await self.approve_shown(operation, unlock)
        return operation

    async def approve_link(self, text: str, unlock: Unlock) -> PhoneOperation:
        """Claims and approves what a link leads to, or what is in the QR code that it was read from.

        Raises OperationLinkRefused, and as `approve`.
        """
        read_at = self._now_ms()
        try:
            link = parse_link(text)
        except InvalidOperationLink as error:
            raise OperationLinkRefused(cause=error) from error
        operation = await self.claim(link.operation_id)
        is_link = "://" in text
        await self.approve_shown(operation, unlock, link=link, read_as="DEEPLINK" if is_link else "QR_CODE", at=read_at)
        return operation

    async def approve_shown(
        self,
        operation: PhoneOperation,
        unlock: Unlock,
        *,
        link: OperationLink | None = None,
        read_as: str = "QR_CODE",
        at: int = 0,
    ) -> None:
        """Approves exactly the data of an operation that was fetched, and shown, before.

        `link`: the OTP in it proves that the phone was near; `read_as`: QR_CODE or DEEPLINK; `at`: when, in
        milliseconds. Raises SignatureRefused, RefusedByServer (finished, expired, cancelled, or changed meanwhile).
        """
        content: dict[str, Any] = {"id": operation.id, "data": operation.data}
        if link is not None and link.otp is not None:
            content["proximityCheck"] = {
                "otp": link.otp,
                "type": read_as,
                "timestampReceived": at,
                "timestampSent": self._now_ms(),
            }
        body = plain_body(content)
        await self._send_signed(unlock, f"{_BASE}/authorize", "/operation/authorize", body, StatusOnly)

    async def reject(self, operation_id: str, reason: str = "UNKNOWN") -> None:
        """Rejects. reason: UNKNOWN, INCORRECT_DATA, UNEXPECTED_OPERATION, or free text."""
        body = plain_body({"id": operation_id, "reason": reason})
        await self._send_signed(POSSESSION, f"{_BASE}/cancel", "/operation/cancel", body, StatusOnly)

    def answer_offline(self, qr_text: str, unlock: Unlock) -> OfflineAnswer:
        """The digits to type, for what a QR text asks. Needs no network. Raises QrRefused, FactorNotAllowedOffline."""
        qr = read_offline_qr(self._keeper.load(), qr_text)
        return self._keeper.update(lambda state: answer_offline(state, qr, unlock))

    async def _ask_for(self, what: str, operation_id: str) -> PhoneOperation:
        request = await self._token_request(f"{_BASE}/{what}", {"id": operation_id})
        try:
            return (await self._send(request, Plain[PhoneOperation])).response_object
        except RefusedByServer as error:
            if error.server_code in _UNKNOWN:
                raise OperationUnknown(cause=error) from error
            raise
