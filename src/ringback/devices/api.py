"""The room's handlers: `api_cloud` and `api_mobile` begin, each of the other modules has a subject of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.devices import (
    api_cloud,
    api_labels,
    api_looking,
    api_mobile,
    api_offline,
    api_oidc_configuration,
    api_push,
    api_recovery,
    api_sealed,
    api_spawn,
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
    api_spawn,
    api_recovery,
    api_oidc_configuration,
)


def routes(store: Store, devices: DevicesService) -> Routes:
    """All handlers of the room."""
    return sum((part.routes(store, devices) for part in _PARTS), Routes())
