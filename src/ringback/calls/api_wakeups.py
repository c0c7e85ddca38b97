"""The native API for a proxy that suspends calls itself (role sip-proxy)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from litestar.params import FromPath, QueryParameter, RawBody

from ringback.calls.push_only import Asked
from ringback.calls.schema import NewWakeup, ShownWakeup
from ringback.calls.showing import show_wakeup
from ringback.errors import invalid_field
from ringback.http import Req, Routes, decode, native, principal_of
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.uri import parse_uri

if TYPE_CHECKING:
    from ringback.calls.push_only import PushOnly, Reason, State

TAG = "Wake-ups"
WAKEUP = "/wakeups/{wakeup_id:str}"
LONGEST_WAIT = 60
_PUSH_ID: dict[str, Any] = {"max_length": 64, "pattern": r"^[^\x00]*$"}
_REASONS: dict[str, Reason] = {
    "cancelled": "cancelled",
    "answered": "answered",
    "answered_elsewhere": "answered_elsewhere",
}
_STATES: dict[str, State] = {"WAITING": "WAITING", "REGISTERED": "REGISTERED"}


def routes(push_only: PushOnly) -> Routes:
    """The handlers."""

    @native.post(
        "/wakeups",
        tag=TAG,
        operation_id="createWakeup",
        summary="Wakes the phones of a callee. The same call asked for again is the same wake-up, without a new push.",
        request=NewWakeup,
        role="sip-proxy",
        status=201,
    )
    async def create_wakeup(request: Req, body: RawBody) -> ShownWakeup:
        asked = _asked(decode(body, NewWakeup))
        return show_wakeup(await push_only.create(principal_of(request), asked))

    @native.get(
        WAKEUP,
        tag=TAG,
        operation_id="getWakeup",
        summary="What became of it; with waitSeconds the answer waits until the state is not `known` any more.",
        role="sip-proxy",
    )
    async def get_wakeup(
        wakeup_id: FromPath[str],
        wait_seconds: Annotated[int, QueryParameter(name="waitSeconds", ge=0, le=LONGEST_WAIT)] = 0,
        known: Annotated[str, QueryParameter(name="known", max_length=20)] = "WAITING",
    ) -> ShownWakeup:
        if known not in _STATES:
            raise invalid_field("known", "WAITING or REGISTERED.", known)
        return show_wakeup(await push_only.get(wakeup_id, _STATES[known], wait_seconds))

    @native.post(
        WAKEUP + "/registered",
        tag=TAG,
        operation_id="setWakeupRegistered",
        summary="A phone of the callee has registered: the call goes on to it.",
        role="sip-proxy",
    )
    async def set_registered(request: Req, wakeup_id: FromPath[str]) -> ShownWakeup:
        return show_wakeup(await push_only.registered(principal_of(request), wakeup_id))

    @native.delete(
        WAKEUP,
        tag=TAG,
        operation_id="endWakeup",
        summary="The call is over: phones that still ring are told. One that has ended stays as it is.",
        role="sip-proxy",
    )
    async def end_wakeup(
        request: Req,
        wakeup_id: FromPath[str],
        reason: Annotated[str, QueryParameter(name="reason", max_length=40)] = "cancelled",
        push_id: Annotated[str, QueryParameter(name="pushId", **_PUSH_ID)] = "",
    ) -> ShownWakeup:
        if reason not in _REASONS:
            raise invalid_field("reason", f"One of {', '.join(_REASONS)}.", reason)
        return show_wakeup(await push_only.end(principal_of(request), wakeup_id, _REASONS[reason], push_id or None))

    return Routes(internal=[create_wakeup, get_wakeup, set_registered, end_wakeup])


def _asked(new: NewWakeup) -> Asked:
    username, domain = _callee(new.callee)
    return Asked(
        username=username,
        domain=domain,
        caller=new.caller,
        caller_name=new.caller_name,
        call_id=new.call_id,
        seconds=new.timeout_seconds,
    )


def _callee(text: str) -> tuple[str, str]:
    uri = text if text.lower().startswith(("sip:", "sips:")) else f"sip:{text}"
    try:
        parsed = parse_uri(uri)
    except SipMalformed as error:
        raise invalid_field("callee", "Send user@domain, or a SIP URI.", text) from error
    if not parsed.user or not parsed.host:
        raise invalid_field("callee", "Send user@domain, or a SIP URI.", text)
    return parsed.username, parsed.host
