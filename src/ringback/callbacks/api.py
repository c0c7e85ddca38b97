"""The room's handlers, of every API that it serves."""

from __future__ import annotations

from ringback.callbacks import api_cloud, api_native
from ringback.callbacks.announcing import Announcer
from ringback.callbacks.service import CallbacksService
from ringback.http import Routes
from ringback.store import Store


def routes(store: Store, callbacks: CallbacksService, announcer: Announcer) -> Routes:
    """PowerAuth Cloud, and the native API."""
    return api_cloud.routes(store, callbacks, announcer) + api_native.routes(store, callbacks)
