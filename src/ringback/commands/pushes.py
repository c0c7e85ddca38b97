"""Commands about pushes: campaigns, and why a push was or was not sent."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.errors import StartRefused
from ringback.installation import Installation
from ringback.messages import NewCampaign, PushesWanted, UserIds, campaign_detail, campaign_item, show_trace
from ringback.principal import Principal
from ringback.server import Rooms


async def create_campaign(installation: Installation, rooms: Rooms, *, content: Any, by: str) -> Any:
    """A new campaign, to be started."""
    try:
        command = msgspec.convert(content, NewCampaign)
    except msgspec.ValidationError as error:
        raise StartRefused(f"The campaign cannot be made: {error}.", cause=error) from error
    made = await installation.store.write(rooms.campaigns.create, Principal("cli", by), command)
    return msgspec.to_builtins(campaign_item(made))


async def add_campaign_users(
    installation: Installation, rooms: Rooms, *, campaign_id: str, users: list[str], by: str
) -> Any:
    """More users of a campaign that was not started."""
    try:
        named = msgspec.convert(users, UserIds)
    except msgspec.ValidationError as error:
        raise StartRefused(f"A user id has 1 to 255 characters: {error}.", cause=error) from error
    changed = await installation.store.write(rooms.campaigns.add_users, Principal("cli", by), campaign_id, named)
    return msgspec.to_builtins(campaign_item(changed))


async def start_campaign(installation: Installation, rooms: Rooms, *, campaign_id: str, by: str) -> Any:
    """Begins to tell the users."""
    principal, store = Principal("cli", by), installation.store
    reached = await store.read(rooms.campaigns.count_reached, principal, campaign_id)
    return msgspec.to_builtins(campaign_item(await store.write(rooms.campaigns.start, principal, campaign_id, reached)))


async def show_campaign(installation: Installation, rooms: Rooms, *, campaign_id: str, by: str) -> Any:
    """How far a campaign is."""
    campaign = await installation.store.read(rooms.campaigns.get, Principal("cli", by), campaign_id)
    pushes = await installation.store.read(rooms.campaigns.pushes, campaign_id)
    return msgspec.to_builtins(campaign_detail(campaign, pushes))


async def why_push(
    installation: Installation,
    rooms: Rooms,
    *,
    push_id: str = "",
    user_id: str = "",
    limit: int = 10,
) -> Any:
    """What became of a push or a notice, or of the newest notices of a user; whoever runs the server sees all apps."""
    store = installation.store
    if push_id:
        found = [await store.read(rooms.tracing.trace, None, push_id)]
    else:
        found, _ = await store.read(rooms.tracing.traces, None, PushesWanted(user_id, limit=limit))
    return msgspec.to_builtins([show_trace(one) for one in found])
