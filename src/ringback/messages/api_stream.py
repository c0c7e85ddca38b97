"""What phones call: the stream of `local` pushes."""

from __future__ import annotations

from litestar.response import Stream

from ringback.devices import MacTokenCheck, read_token_header
from ringback.errors import MacTokenInvalid
from ringback.http import Req, Routes, mobile
from ringback.messages.needs import Phones
from ringback.messages.stream import LocalStreams
from ringback.protocols.powerauth.headers import TOKEN_HEADER
from ringback.store import Store


def routes(store: Store, devices: Phones, streams: LocalStreams) -> Routes:
    """The handlers."""

    @mobile.get(
        "/api/push/local/stream",
        tag="Push",
        operation_id="localPushStream",
        summary="Pushes of kind `local` as Server-Sent Events; resumes after Last-Event-ID.",
        header=(TOKEN_HEADER,),
        optional_header=("Last-Event-ID",),
        media_type="text/event-stream",
    )
    async def local_push_stream(request: Req) -> Stream:
        check = MacTokenCheck(read_token_header(request.headers))
        outcome = await store.write(devices.check_mac_token, check)
        if not outcome.valid:
            raise MacTokenInvalid
        return Stream(
            streams.open(outcome.registration_id, request.headers.get("Last-Event-ID")),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return Routes(public=[local_push_stream])
