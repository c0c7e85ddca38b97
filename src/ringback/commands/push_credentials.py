"""Commands about what apps push with."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.apps import push_credential_content
from ringback.installation import Installation
from ringback.principal import Principal
from ringback.server import Rooms


async def put_push_credential(
    installation: Installation,  # noqa: ARG001
    rooms: Rooms,
    *,
    app: str,
    kind: str,
    content: dict[str, Any],
    by: str,
) -> Any:
    """What an app pushes with, in the place of what it had of this kind."""
    checked = push_credential_content(kind, content)
    return msgspec.to_builtins(await rooms.push.desk.put(Principal("cli", by), app, checked))


async def list_push_credentials(installation: Installation, rooms: Rooms, *, app: str) -> Any:  # noqa: ARG001
    """What an app pushes with."""
    return msgspec.to_builtins(await rooms.push.desk.all(app))


async def clear_push_credentials(
    installation: Installation,  # noqa: ARG001
    rooms: Rooms,
    *,
    app: str,
    kind: Any,
    by: str,
) -> Any:
    """Forgets one push credential of an app, or without a kind all of them."""
    principal = Principal("cli", by)
    await (rooms.push.desk.remove(principal, app, kind) if kind else rooms.push.desk.clear(principal, app))
    return {"app": app}


async def try_push_credential(installation: Installation, rooms: Rooms, *, app: str, kind: Any) -> Any:  # noqa: ARG001
    """Asks the provider whether it takes a push credential."""
    return msgspec.to_builtins(await rooms.push.desk.try_out(app, kind))
