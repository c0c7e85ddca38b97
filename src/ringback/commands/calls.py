"""Commands about calls that had to wake a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.calls import MODES, CallsWanted, Outcome, show_call, show_call_item
from ringback.errors import StartRefused
from ringback.http import make_cursor, open_cursor

if TYPE_CHECKING:
    from ringback.installation import Installation
    from ringback.server import Rooms


async def list_calls(
    installation: Installation, rooms: Rooms, *, wanted: dict[str, Any], cursor: str
) -> dict[str, Any]:
    """A page of calls, newest first, as the native API shows it."""
    for name, known in (("outcome", ("WAITING", *Outcome)), ("mode", MODES)):
        if wanted.get(name) and wanted[name] not in known:
            raise StartRefused(f"There is no {name} {wanted[name]!r}, only {', '.join(known)}.")
    try:
        asked = msgspec.convert({**wanted, "before": open_cursor(cursor)}, CallsWanted)
    except msgspec.ValidationError as error:
        raise StartRefused(str(error), cause=error) from error
    found, following = await installation.store.read(rooms.calls.records.walk, None, asked)
    return {
        "items": [msgspec.to_builtins(show_call_item(row)) for row in found],
        "nextCursor": None if following is None else make_cursor(following),
    }


async def show_one_call(installation: Installation, rooms: Rooms, *, call_record_id: str) -> dict[str, Any]:
    """A call with everything that is known of it."""
    found = await installation.store.read(rooms.calls.records.find, None, call_record_id)
    shown: dict[str, Any] = msgspec.to_builtins(show_call(found.row, found.considered, found.sendings))
    return shown
