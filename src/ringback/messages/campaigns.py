"""Campaigns: one message to many users, told in small units of work that go on where the last one ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.errors import AppNotFound, CampaignChangeRefused, CampaignNotFound, invalid_field
from ringback.messages import queries_campaigns as queries
from ringback.messages.content import check_notice
from ringback.messages.model import Notice, Text
from ringback.messages.model_campaigns import TRANSITIONS, Campaign, CampaignPushes, Event
from ringback.messages.schema_campaigns import CampaignContent, NewCampaign
from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.messages.needs import AppAccess, Apps, Audit, Reach, Telling
    from ringback.principal import Principal

MOST_WAITING = 5_000
"""While so many pushes of a campaign wait, no more are queued: a pause or a cancellation has its effect soon."""
AT_A_TIME = 25
"""Users of one unit: it must not hold up what others write."""
CAMPAIGNS_AT_A_TIME = 4
DAY_MS = 86_400_000
_AFTER_ALL_IDS = "g"
_encode = msgspec.json.Encoder().encode
_decode_content = msgspec.json.Decoder(CampaignContent).decode


class Campaigns:
    """Makes campaigns and tells their users. All methods with `tx` are units of work."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        apps: Apps,
        access: AppAccess,
        reach: Reach,
        messages: Telling,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._apps = apps
        self._access = access
        self._reach = reach
        self._messages = messages
        self._audit = audit
        self._last_id = ""
        self._told_in_round = False

    async def create(self, tx: Tx, principal: Principal, command: NewCampaign) -> Campaign:
        """A new campaign, to be started. Raises AppNotFound, InvalidRequest."""
        if not await self._may_use(tx, principal, command.app_id):
            raise AppNotFound
        if command.everyone and command.users:
            raise invalid_field("users", "A campaign goes to everyone, or to the users that are named.")
        content = command.content()
        campaign = Campaign(
            id=new_id(self._clock, self._randomness),
            app_id=command.app_id,
            name=command.name,
            audience="EVERYONE" if command.everyone else "LIST",
            content=_encode(content).decode(),
            status="DRAFT",
            users=0,
            position=-1,
            last_user_id=None,
            users_done=0,
            users_told=0,
            pushes=0,
            created_by=principal.name,
            created_at=self._clock.now_ms(),
            started_at=None,
            finished_at=None,
            version=1,
        )
        check_notice(_notice(campaign, content, ""))
        await tx.run(queries.insert_campaign, *msgspec.structs.astuple(campaign))
        await self._record(tx, principal, "campaign.create", campaign)
        return await self._with_users(tx, campaign, command.users) if command.users else campaign

    async def add_users(self, tx: Tx, principal: Principal, campaign_id: str, users: Sequence[str]) -> Campaign:
        """More users of one that was not started; who is in the list already is not told twice."""
        campaign = await self.get(tx, principal, campaign_id)
        if campaign.status != "DRAFT" or campaign.audience != "LIST":
            raise CampaignChangeRefused("Users can be added to a list until the campaign is started.")
        return await self._with_users(tx, campaign, users)

    async def start(self, tx: Tx, principal: Principal, campaign_id: str, reached: int | None = None) -> Campaign:
        """Begins to tell the users. `reached`: how many EVERYONE are, counted before. Raises InvalidRequest."""
        campaign = await self.get(tx, principal, campaign_id)
        if campaign.audience == "LIST" and campaign.users == 0 and campaign.status == "DRAFT":
            raise CampaignChangeRefused("The campaign has no users yet. Add some, then start it.")
        if campaign.audience == "EVERYONE" and reached is not None:
            campaign = msgspec.structs.replace(campaign, users=reached)
        return await self._change(tx, principal, campaign, "START")

    async def change(self, tx: Tx, principal: Principal, campaign_id: str, event: Event) -> Campaign:
        """Pauses, resumes or cancels. What was queued goes out all the same. Raises CampaignChangeRefused."""
        return await self._change(tx, principal, await self.get(tx, principal, campaign_id), event)

    async def get(self, tx: Tx, principal: Principal, campaign_id: str) -> Campaign:
        """One campaign of the principal's apps. Raises CampaignNotFound."""
        campaign = await tx.one(queries.campaign_by_id, campaign_id)
        if campaign is None or not await self._may_use(tx, principal, campaign.app_id):
            raise CampaignNotFound
        return campaign

    async def page(
        self, tx: Tx, principal: Principal, app_id: str, before_id: str | None, limit: int
    ) -> list[Campaign]:
        """Campaigns of an app, newest first. Raises AppNotFound."""
        if not await self._may_use(tx, principal, app_id):
            raise AppNotFound
        return await tx.all(queries.campaigns_of_app, app_id, before_id or _AFTER_ALL_IDS, limit)

    async def pushes(self, tx: Tx, campaign_id: str) -> CampaignPushes:
        """What became of its pushes; for a unit that only reads: it counts."""
        counted: list[tuple[str, int]] = await tx.all(queries.pushes_by_status, campaign_id)
        return CampaignPushes(**{status.lower(): count for status, count in counted})

    async def count_reached(self, tx: Tx, principal: Principal, campaign_id: str) -> int | None:
        """How many users EVERYONE are at this moment; None for a list."""
        campaign = await self.get(tx, principal, campaign_id)
        return None if campaign.audience == "LIST" else await self._reach.count_users_reached(tx, campaign.app_id)

    async def tell(self, tx: Tx, limit: int) -> int:
        """Unit for the job: tells the next users of the running campaigns; returns at least `limit` to be called again.

        Where a campaign is, is written in the unit that queues the pushes: after a crash it goes on with the next user.
        All campaigns take turns, so that those whose pushes cannot go out now hold up no others. Whose turn it is, is
        only remembered: it does no harm when this unit is run again.
        """
        campaigns = await tx.all(queries.running_campaigns, self._last_id, CAMPAIGNS_AT_A_TIME)
        told = 0
        for campaign in campaigns:
            told += await self._tell_some(tx, campaign)
        self._told_in_round = self._told_in_round or told > 0
        if len(campaigns) == CAMPAIGNS_AT_A_TIME:
            self._last_id = campaigns[-1].id
            return limit
        again, self._last_id, self._told_in_round = self._told_in_round, "", False
        return limit if again else 0

    async def _may_use(self, tx: Tx, principal: Principal, app_id: str) -> bool:
        reach = await self._access.reach_of(tx, principal)
        return app_id in reach if reach is not None else await self._apps.exists(tx, app_id)

    async def _tell_some(self, tx: Tx, campaign: Campaign) -> int:
        waiting: list[tuple[int]] = await tx.all(queries.waiting_pushes, campaign.id, MOST_WAITING)
        if waiting[0][0] >= MOST_WAITING:
            return 0
        users, position = await self._next_users(tx, campaign)
        content = _decode_content(campaign.content)
        counts = [len((await self._messages.tell(tx, _notice(campaign, content, user))).push_ids) for user in users]
        done = campaign.users_done + len(users)
        changed = msgspec.structs.replace(
            campaign,
            status=campaign.status if len(users) == AT_A_TIME else TRANSITIONS[campaign.status, "FINISH"],
            users=max(campaign.users, done),
            position=position,
            last_user_id=users[-1] if users else campaign.last_user_id,
            users_done=done,
            users_told=campaign.users_told + sum(1 for count in counts if count),
            pushes=campaign.pushes + sum(counts),
            finished_at=None if len(users) == AT_A_TIME else self._clock.now_ms(),
        )
        await self._save(tx, changed)
        return len(users)

    async def _next_users(self, tx: Tx, campaign: Campaign) -> tuple[list[str], int]:
        """The next users, and the place in the list that they reach to."""
        if campaign.audience == "EVERYONE":
            after = campaign.last_user_id or ""
            return await self._reach.users_reached(tx, campaign.app_id, after, AT_A_TIME), campaign.position
        found: list[tuple[int, str]] = await tx.all(
            queries.campaign_users_after, campaign.id, campaign.position, AT_A_TIME
        )
        return [user for _, user in found], found[-1][0] if found else campaign.position

    async def _with_users(self, tx: Tx, campaign: Campaign, users: Sequence[str]) -> Campaign:
        last = await tx.one(queries.last_position, campaign.id)
        named = _encode(list(dict.fromkeys(users))).decode()
        added = await tx.all(queries.add_campaign_users, campaign.id, last[0] + 1 if last else 0, named)
        return await self._save(tx, msgspec.structs.replace(campaign, users=campaign.users + len(added)))

    async def _change(self, tx: Tx, principal: Principal, campaign: Campaign, event: Event) -> Campaign:
        status = TRANSITIONS.get((campaign.status, event))
        if status is None:
            raise CampaignChangeRefused(f"The campaign is {campaign.status}.")
        now = self._clock.now_ms()
        changed = msgspec.structs.replace(
            campaign,
            status=status,
            started_at=now if event == "START" else campaign.started_at,
            finished_at=now if event == "CANCEL" else campaign.finished_at,
        )
        await self._record(tx, principal, f"campaign.{event.lower()}", campaign)
        return await self._save(tx, changed)

    async def _save(self, tx: Tx, changed: Campaign) -> Campaign:
        await tx.run(
            queries.save_campaign,
            changed.id,
            changed.version,
            changed.status,
            changed.users,
            changed.position,
            changed.last_user_id,
            changed.users_done,
            changed.users_told,
            changed.pushes,
            changed.started_at,
            changed.finished_at,
        )
        return msgspec.structs.replace(changed, version=changed.version + 1)

    async def _record(self, tx: Tx, principal: Principal, action: str, campaign: Campaign) -> None:
        await self._audit.record(
            tx, principal, action, subject_kind="campaign", subject_id=campaign.id, app_id=campaign.app_id
        )


def _notice(campaign: Campaign, content: CampaignContent, user_id: str) -> Notice:
    return Notice(
        user_id=user_id,
        app_ids=(campaign.app_id,),
        texts={language: Text(text.title, text.message) for language, text in content.texts.items()},
        silent=content.silent,
        sound=content.sound,
        extras=content.extras,
        subject_kind="campaign",
        subject_id=campaign.id,
        campaign_id=campaign.id,
    )
