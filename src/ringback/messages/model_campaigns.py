"""A campaign: one message to many users; its states and their transitions."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["DRAFT", "RUNNING", "PAUSED", "DONE", "CANCELLED"]
Event = Literal["START", "PAUSE", "RESUME", "FINISH", "CANCEL"]
Audience = Literal["LIST", "EVERYONE"]

TRANSITIONS: dict[tuple[Status, Event], Status] = {
    ("DRAFT", "START"): "RUNNING",
    ("RUNNING", "PAUSE"): "PAUSED",
    ("PAUSED", "RESUME"): "RUNNING",
    ("RUNNING", "FINISH"): "DONE",
    ("DRAFT", "CANCEL"): "CANCELLED",
    ("RUNNING", "CANCEL"): "CANCELLED",
    ("PAUSED", "CANCEL"): "CANCELLED",
}


class Campaign(msgspec.Struct, frozen=True):
    """A campaign as it is stored.

    `audience`: LIST = the users that were named, EVERYONE = all whom the app can reach. `content`: JSON of a
    CampaignContent. `users`: how many there are to tell; `users_done`: how many of them were gone through, up to
    `position` in the list, or of EVERYONE up to `last_user_id`; `users_told`: those of them for whom there was at least
    one push; `pushes`: how many pushes.
    """

    id: str
    app_id: str
    name: str
    audience: Audience
    content: str
    status: Status
    users: int
    position: int
    last_user_id: str | None
    users_done: int
    users_told: int
    pushes: int
    created_by: str
    created_at: int
    started_at: int | None
    finished_at: int | None
    version: int


class CampaignPushes(msgspec.Struct, frozen=True):
    """What became of a campaign's pushes so far."""

    queued: int = 0
    delivered: int = 0
    failed: int = 0
