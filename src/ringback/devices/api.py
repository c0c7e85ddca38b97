"""The room's handlers: the back end's (`api_cloud`) and the phones' (`api_mobile`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.devices import api_cloud, api_mobile

if TYPE_CHECKING:
    from ringback.devices.service import DevicesService
    from ringback.http import Routes
    from ringback.store import Store


def routes(store: Store, devices: DevicesService) -> Routes:
    """All handlers of the room."""
    return api_cloud.routes(store, devices) + api_mobile.routes(store, devices)
