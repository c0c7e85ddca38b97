"""All handlers of the room but those of campaigns."""

from __future__ import annotations

from ringback.http import IdempotencyKeys, Routes
from ringback.messages import api_cloud, api_inbox, api_live_activities, api_native, api_stream
from ringback.messages.inbox import Inbox
from ringback.messages.live_activities import LiveActivities
from ringback.messages.needs import Phones
from ringback.messages.sending import MessageSending
from ringback.messages.stream import LocalStreams
from ringback.messages.tracing import Tracing
from ringback.store import Store


def routes(
    store: Store,
    devices: Phones,
    streams: LocalStreams,
    *,
    sending: MessageSending,
    inbox: Inbox,
    activities: LiveActivities,
    tracing: Tracing,
    idempotency_keys: IdempotencyKeys,
) -> Routes:
    """The handlers."""
    return (
        api_stream.routes(store, devices, streams)
        + api_cloud.routes(store, sending, inbox)
        + api_inbox.routes(store, devices, inbox)
        + api_native.routes(store, sending, tracing, idempotency_keys)
        + api_live_activities.routes(store, activities, idempotency_keys)
    )
