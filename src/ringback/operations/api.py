"""All handlers of the room."""

from __future__ import annotations

from ringback.http import IdempotencyKeys, Routes
from ringback.operations import api_cloud, api_mobile, api_offline, api_templates, api_texts
from ringback.operations.needs import Phones
from ringback.operations.service import OperationsService
from ringback.operations.templates import TemplatesService
from ringback.store import Store


def routes(
    store: Store, operations: OperationsService, templates: TemplatesService, devices: Phones, keys: IdempotencyKeys
) -> Routes:
    """Back ends create, look and cancel; phones list, approve and reject; administrators keep the templates."""
    return (
        api_cloud.routes(store, operations)
        + api_offline.routes(store, operations, devices)
        + api_mobile.routes(store, operations, devices)
        + api_templates.routes(store, templates, keys)
        + api_texts.routes(store, templates)
    )
