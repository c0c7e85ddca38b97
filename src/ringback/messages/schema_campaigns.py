"""Campaigns as the native API shows them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ringback.errors import invalid_field
from ringback.messages.extras import checked_extras
from ringback.messages.model_campaigns import Audience, Campaign, CampaignPushes, Status
from ringback.messages.schema_cloud import Extras, Id, Name
from ringback.messages.schema_native import Language, MessageText

MOST_USERS = 1000

UserIds = Annotated[list[Id], msgspec.Meta(max_length=MOST_USERS)]


class CampaignContent(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is told: texts by language, each phone gets its own, else English, else the first."""

    texts: dict[str, MessageText] = {}
    silent: bool = False
    sound: str | None = None
    extras: dict[str, Any] = {}


class NewCampaign(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/v1/campaigns. `everyone`: all whom the app can reach; else the users that are named, here or later."""

    app_id: Id
    name: Id
    texts: Annotated[dict[Language, MessageText], msgspec.Meta(max_length=50)] = {}
    silent: bool = False
    sound: Name | None = None
    extras: Extras | None = None
    everyone: bool = False
    users: UserIds = []

    def content(self) -> CampaignContent:
        """What is stored. Raises InvalidRequest."""
        if not self.silent and not self.texts:
            raise invalid_field("texts", "Say something in at least one language, or make it silent.")
        return CampaignContent(self.texts, self.silent, self.sound, checked_extras(self.extras))


class CampaignUsers(msgspec.Struct, frozen=True):
    """POST /api/v1/campaigns/{campaignId}/users: at most 1,000 at a time."""

    users: Annotated[UserIds, msgspec.Meta(min_length=1)]


class CampaignItem(msgspec.Struct, frozen=True, rename="camel"):
    """How far a campaign is: `usersDone` of `users` were gone through, `usersTold` of them have a phone to tell."""

    id: str
    app_id: str
    name: str
    audience: Audience
    status: Status
    users: int
    users_done: int
    users_told: int
    pushes: int
    timestamp_created: int
    timestamp_started: int | None
    timestamp_finished: int | None


class CampaignDetail(CampaignItem, frozen=True, rename="camel", kw_only=True):
    """GET /api/v1/campaigns/{campaignId}: also what became of its pushes so far."""

    content: CampaignContent
    created_by: str
    pushes_queued: int
    pushes_delivered: int
    pushes_failed: int


class CampaignPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of campaigns."""

    items: list[CampaignItem]
    next_cursor: str | None = None


def item_of(campaign: Campaign) -> CampaignItem:
    """A campaign as it is shown in lists."""
    return CampaignItem(
        id=campaign.id,
        app_id=campaign.app_id,
        name=campaign.name,
        audience=campaign.audience,
        status=campaign.status,
        users=campaign.users,
        users_done=campaign.users_done,
        users_told=campaign.users_told,
        pushes=campaign.pushes,
        timestamp_created=campaign.created_at,
        timestamp_started=campaign.started_at,
        timestamp_finished=campaign.finished_at,
    )


def detail_of(campaign: Campaign, pushes: CampaignPushes) -> CampaignDetail:
    """A campaign with all that is known of it."""
    return CampaignDetail(
        **msgspec.structs.asdict(item_of(campaign)),
        content=msgspec.json.decode(campaign.content, type=CampaignContent),
        created_by=campaign.created_by,
        pushes_queued=pushes.queued,
        pushes_delivered=pushes.delivered,
        pushes_failed=pushes.failed,
    )
