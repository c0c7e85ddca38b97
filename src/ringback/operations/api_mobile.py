"""What phones call: the Mobile Token API."""

from __future__ import annotations

from litestar.params import RawBody

from ringback.devices import MacTokenCheck, SignatureCheck
from ringback.errors import (
    InvalidActivation,
    InvalidOperation,
    MobileError,
    MobileTokenFailed,
    OperationAlreadyCanceled,
    OperationAlreadyFailed,
    OperationAlreadyFinished,
    OperationExpired,
    OperationFailed,
    OperationRequiresActivationFlag,
)
from ringback.http import Ok, Req, Routes, decode, mobile, remote_address
from ringback.languages import preferred_languages
from ringback.operations.answers import Answer
from ringback.operations.model import Verdict
from ringback.operations.needs import Phones
from ringback.operations.phone_view import format_time, show_operation
from ringback.operations.reading import Shown
from ringback.operations.schema_mobile import (
    ApprovalRequest,
    HistoryRequest,
    ListRequest,
    OperationDetail,
    OperationHistory,
    OperationIdRequest,
    OperationList,
    RejectionRequest,
)
from ringback.operations.service import OperationsService
from ringback.protocols.powerauth.errors import PowerAuthProtocolError
from ringback.protocols.powerauth.headers import (
    SIGNATURE_HEADER,
    TOKEN_HEADER,
    parse_signature_header,
    parse_token_header,
)
from ringback.store import Store

TAG = "Mobile token"
AUTHORIZE_URI = "/operation/authorize"
CANCEL_URI = "/operation/cancel"
HISTORY_URI = "/operation/history"
_BASE = "/api/auth/token/app/operation"
_REFUSALS: dict[Verdict, type[MobileError]] = {
    "NOT_AUTHENTICATED": MobileTokenFailed,
    "UNKNOWN": InvalidOperation,
    "FLAG_MISSING": OperationRequiresActivationFlag,
    "REFUSED": OperationFailed,
    "FINISHED": OperationAlreadyFinished,
    "CANCELED": OperationAlreadyCanceled,
    "EXPIRED": OperationExpired,
    "FAILED": OperationAlreadyFailed,
}


def routes(store: Store, operations: OperationsService, devices: Phones) -> Routes:  # noqa: C901 - a list
    """The handlers."""

    async def authenticated(request: Req) -> str:
        """The registration whose MAC token the request carries."""
        try:
            header = parse_token_header(request.headers.get(TOKEN_HEADER, ""))
        except PowerAuthProtocolError as error:
            raise MobileTokenFailed(cause=error) from error
        outcome = await store.write(devices.check_mac_token, MacTokenCheck(header))
        if not outcome.valid:
            raise InvalidActivation if outcome.proven else MobileTokenFailed
        return outcome.registration_id

    def detail_of(verdict: Verdict, found: Shown | None) -> OperationDetail:
        _refuse(verdict)
        if found is None:
            raise InvalidOperation
        return OperationDetail(format_time(operations.now_ms()), show_operation(*found))

    @mobile.post(
        f"{_BASE}/list", tag=TAG, operation_id="mobileOperationList", request=ListRequest, header=[TOKEN_HEADER]
    )
    async def operation_list(request: Req) -> OperationList:
        registration_id = await authenticated(request)
        found = await store.read(operations.pending, registration_id, _languages(request))
        return OperationList(format_time(operations.now_ms()), [show_operation(*one) for one in found])

    @mobile.post(
        f"{_BASE}/history",
        tag=TAG,
        operation_id="mobileOperationHistory",
        request=HistoryRequest,
        header=[SIGNATURE_HEADER],
    )
    async def operation_history(request: Req, body: RawBody) -> OperationHistory:
        check = _signature_check(request, HISTORY_URI, body)
        verdict, found = await store.write(operations.history, check, _languages(request))
        _refuse(verdict)
        return OperationHistory(format_time(operations.now_ms()), [show_operation(*one) for one in found])

    @mobile.post(
        f"{_BASE}/detail",
        tag=TAG,
        operation_id="mobileOperationDetail",
        request=OperationIdRequest,
        header=[TOKEN_HEADER],
    )
    async def operation_detail(request: Req, body: RawBody) -> OperationDetail:
        registration_id = await authenticated(request)
        wanted = decode(body, OperationIdRequest).request_object.id
        return detail_of(*await store.write(operations.detail, registration_id, wanted, _languages(request)))

    @mobile.post(
        f"{_BASE}/detail/claim",
        tag=TAG,
        operation_id="mobileOperationClaim",
        request=OperationIdRequest,
        header=[TOKEN_HEADER],
    )
    async def operation_claim(request: Req, body: RawBody) -> OperationDetail:
        registration_id = await authenticated(request)
        wanted = decode(body, OperationIdRequest).request_object.id
        return detail_of(*await store.write(operations.claim, registration_id, wanted, _languages(request)))

    @mobile.post(
        f"{_BASE}/authorize",
        tag=TAG,
        operation_id="mobileOperationAuthorize",
        request=ApprovalRequest,
        header=[SIGNATURE_HEADER],
    )
    async def operation_authorize(request: Req, body: RawBody) -> Ok:
        check = _signature_check(request, AUTHORIZE_URI, body)
        approval = decode(body, ApprovalRequest).request_object
        answer = Answer(
            check=check,
            operation_id=approval.id,
            data=approval.data,
            otp=None if approval.proximity_check is None else approval.proximity_check.otp,
            address=remote_address(request),
            user_agent=request.headers.get("User-Agent"),
        )
        _refuse(await store.write(operations.authorize, answer))
        return Ok()

    @mobile.post(
        f"{_BASE}/cancel",
        tag=TAG,
        operation_id="mobileOperationCancel",
        request=RejectionRequest,
        header=[SIGNATURE_HEADER],
    )
    async def operation_cancel(request: Req, body: RawBody) -> Ok:
        check = _signature_check(request, CANCEL_URI, body)
        rejection = decode(body, RejectionRequest).request_object
        answer = Answer(
            check=check,
            operation_id=rejection.id,
            reason=rejection.reason,
            address=remote_address(request),
            user_agent=request.headers.get("User-Agent"),
        )
        _refuse(await store.write(operations.reject, answer))
        return Ok()

    return Routes(
        public=[
            operation_list,
            operation_history,
            operation_detail,
            operation_claim,
            operation_authorize,
            operation_cancel,
        ]
    )


def _signature_check(request: Req, uri_id: str, body: bytes) -> SignatureCheck:
    try:
        header = parse_signature_header(request.headers.get(SIGNATURE_HEADER, ""))
    except PowerAuthProtocolError as error:
        raise MobileTokenFailed(cause=error) from error
    return SignatureCheck(method="POST", uri_id=uri_id, header=header, body=body)


def _refuse(verdict: Verdict) -> None:
    if verdict != "DONE":
        raise _REFUSALS[verdict]


def _languages(request: Req) -> list[str]:
    return preferred_languages(request.headers.get("Accept-Language"))
