"""The native API: which calls there were, and why each rang or did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from litestar.params import FromPath, QueryParameter

from ringback.calls.model import MODES, CallsWanted, Outcome
from ringback.calls.schema import CallDetail, CallPage
from ringback.calls.showing import show_detail, show_item
from ringback.errors import invalid_field
from ringback.http import Cursor, Limit, Req, Routes, make_cursor, native, open_cursor, principal_of

if TYPE_CHECKING:
    from ringback.calls.records import CallRecords
    from ringback.store import Store

TAG = "Calls"
_TEXT: dict[str, Any] = {"max_length": 255, "pattern": r"^[^\x00]*$"}
_MOMENT: dict[str, Any] = {"ge": 0, "le": 253_402_300_799_999}
_OUTCOMES = ("WAITING", *Outcome)


def routes(store: Store, records: CallRecords) -> Routes:
    """The handlers. Integration users see the calls that their apps could ring."""

    @native.get(
        "/calls",
        tag=TAG,
        operation_id="listCalls",
        summary="Calls that had to wake a phone, newest first.",
        role="any",
    )
    async def list_calls(  # noqa: PLR0917 - one parameter for each filter
        request: Req,
        callee: Annotated[str, QueryParameter(name="callee", **_TEXT)] = "",
        caller: Annotated[str, QueryParameter(name="caller", **_TEXT)] = "",
        user_id: Annotated[str, QueryParameter(name="userId", **_TEXT)] = "",
        domain: Annotated[str, QueryParameter(name="domain", **_TEXT)] = "",
        call_id: Annotated[str, QueryParameter(name="callId", **_TEXT)] = "",
        outcome: Annotated[str, QueryParameter(name="outcome", **_TEXT)] = "",
        mode: Annotated[str, QueryParameter(name="mode", **_TEXT)] = "",
        from_at: Annotated[int | None, QueryParameter(name="from", **_MOMENT)] = None,
        to_at: Annotated[int | None, QueryParameter(name="to", **_MOMENT)] = None,
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> CallPage:
        wanted = CallsWanted(
            callee=callee,
            caller=caller,
            user_id=user_id,
            domain=domain,
            call_id=call_id,
            outcome=_one_of("outcome", outcome.upper(), _OUTCOMES),
            mode=_one_of("mode", mode, MODES),
            from_at=from_at,
            to_at=to_at,
            before=open_cursor(cursor),
            limit=limit,
        )
        found, following = await store.read(records.page, principal_of(request), wanted)
        return CallPage([show_item(row) for row in found], None if following is None else make_cursor(following))

    @native.get(
        "/calls/{call_record_id:str}",
        tag=TAG,
        operation_id="getCall",
        summary="What happened in a call, which push tokens were considered, and what the push providers answered.",
        role="any",
    )
    async def get_call(request: Req, call_record_id: FromPath[str]) -> CallDetail:
        found = await store.read(records.of, principal_of(request), call_record_id)
        return show_detail(found.row, found.considered, found.sendings)

    return Routes(internal=[list_calls, get_call])


def _one_of(field: str, value: str, known: tuple[str, ...]) -> str:
    if value and value not in known:
        raise invalid_field(field, f"One of {', '.join(known)}.", value)
    return value
