"""The room's handlers: the back end's (`api_cloud`) and the phones' (`api_mobile`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.devices import (
    api_activation,
    api_cloud,
    api_config,
    api_labels,
    api_looking,
    api_mobile,
    api_offline,
    api_push,
    api_recovery,
    api_sealed,
)
from ringback.http import Routes

if TYPE_CHECKING:
    from ringback.devices.service import DevicesService
    from ringback.store import Store

_PARTS = (
    api_cloud,
    api_looking,
    api_labels,
    api_offline,
    api_mobile,
    api_push,
    api_sealed,
    api_activation,
    api_recovery,
    api_config,
)


def routes(store: Store, devices: DevicesService) -> Routes:
    """All handlers of the room."""
    return sum((part.routes(store, devices) for part in _PARTS), Routes())
