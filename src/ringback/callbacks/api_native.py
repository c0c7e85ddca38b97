"""The native API: what became of the deliveries to a callback."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from litestar.params import FromPath

from ringback.callbacks.schema import CallbackDelivery, DeliveryAttempt, DeliveryPage
from ringback.callbacks.service import CallbacksService
from ringback.errors import CallbackNotFound, NativeCallbackNotFound
from ringback.http import Cursor, Limit, Req, Routes, cut_page, native, open_cursor, principal_of
from ringback.outbox import Attempt, PastDelivery, State
from ringback.store import Store

TAG = "Callbacks"
_STATUSES: dict[State, str] = {"READY": "PENDING", "LEASED": "PENDING", "DONE": "DELIVERED", "DEAD": "FAILED"}


def routes(store: Store, callbacks: CallbacksService) -> Routes:
    """The handlers."""

    @native.get(
        "/callbacks/{callback_id:str}/deliveries",
        tag=TAG,
        operation_id="listCallbackDeliveries",
        summary="The deliveries to a callback with their attempts, newest first.",
        role="any",
    )
    async def list_deliveries(
        request: Req, callback_id: FromPath[str], limit: Limit = 50, cursor: Cursor = ""
    ) -> DeliveryPage:
        principal, before_id = principal_of(request), open_cursor(cursor) or None
        try:
            found = await store.read(callbacks.deliveries, principal, callback_id, before_id, limit + 1)
        except CallbackNotFound as error:
            raise NativeCallbackNotFound from error
        shown, next_cursor = cut_page(found, limit, lambda one: one[0].id)
        return DeliveryPage([_delivery(one, attempts) for one, attempts in shown], next_cursor)

    return Routes(internal=[list_deliveries])


def _delivery(delivery: PastDelivery, attempts: list[Attempt]) -> CallbackDelivery:
    return CallbackDelivery(
        id=delivery.id,
        status=cast("Any", _STATUSES[delivery.state]),
        payload=msgspec.json.decode(delivery.payload),
        timestamp_created=delivery.created_at,
        timestamp_finished=delivery.finished_at,
        timestamp_next_attempt=delivery.next_attempt_at if delivery.state == "READY" else None,
        reason=delivery.last_error,
        attempts=[
            DeliveryAttempt(one.attempt, one.at, cast("Any", one.outcome), one.detail, one.duration_ms)
            for one in attempts
        ],
    )
