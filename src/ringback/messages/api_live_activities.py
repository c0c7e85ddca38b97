"""The native API: changes of Live Activities."""

from __future__ import annotations

from litestar.params import RawBody

from ringback.http import IdempotencyKeys, Req, Routes, decode, native, principal_of
from ringback.messages.api_native import IDEMPOTENCY_KEY
from ringback.messages.live_activities import LiveActivities
from ringback.messages.schema_live_activities import PushLiveActivity, QueuedPush
from ringback.principal import Principal
from ringback.store import Store, Tx


def routes(store: Store, activities: LiveActivities, idempotency_keys: IdempotencyKeys) -> Routes:
    """The handlers."""

    async def push(tx: Tx, principal: Principal, command: PushLiveActivity) -> QueuedPush:
        return QueuedPush(await activities.push(tx, principal, command))

    @native.post(
        "/live-activities",
        tag="Messages",
        operation_id="pushLiveActivity",
        summary="Starts, changes or ends one Live Activity on an iPhone.",
        role="integration",
        status=201,
        request=PushLiveActivity,
        optional_header=[IDEMPOTENCY_KEY],
    )
    async def push_live_activity(request: Req, body: RawBody) -> QueuedPush:
        command = decode(body, PushLiveActivity)
        return await store.write(idempotency_keys.once, request, body, QueuedPush, push, principal_of(request), command)

    return Routes(internal=[push_live_activity])
