"""In which apps something is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.errors import AppNotFound
from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Collection

    from ringback.messages.needs import AppAccess
    from ringback.principal import Principal


async def chosen_apps(tx: Tx, access: AppAccess, principal: Principal, wanted: Collection[str] | None) -> list[str]:
    """The wanted apps, by id; None = all that the principal may use. Raises AppNotFound when it may not use them."""
    allowed = await access.apps_of(tx, principal)
    chosen = allowed if wanted is None else frozenset(wanted)
    if not chosen or not chosen <= allowed:
        raise AppNotFound
    return sorted(chosen)
