"""The room's handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.calls import api_by_notification, api_calls, api_wakeups

if TYPE_CHECKING:
    from ringback.calls.by_notification import ByNotification
    from ringback.calls.needs import Phones
    from ringback.calls.push_only import PushOnly
    from ringback.calls.records import CallRecords
    from ringback.http import Routes
    from ringback.store import Store


def routes(
    store: Store, records: CallRecords, push_only: PushOnly, by_notification: ByNotification, phones: Phones
) -> Routes:
    """Calls, wake-ups for a proxy, and what phones ask."""
    return (
        api_calls.routes(store, records)
        + api_wakeups.routes(push_only)
        + api_by_notification.routes(store, by_notification, phones)
    )
