"""The native API: campaigns."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.params import FromPath, QueryParameter, RawBody

from ringback.http import (
    Cursor,
    IdempotencyKeys,
    Limit,
    Req,
    Routes,
    cut_page,
    decode,
    native,
    open_cursor,
    principal_of,
)
from ringback.messages.campaigns import Campaigns
from ringback.messages.model_campaigns import Event
from ringback.messages.schema_campaigns import (
    CampaignDetail,
    CampaignItem,
    CampaignPage,
    CampaignUsers,
    NewCampaign,
    detail_of,
    item_of,
)
from ringback.store import Store

TAG = "Campaigns"
CAMPAIGN = "/campaigns/{campaign_id:str}"
IDEMPOTENCY_KEY = "Idempotency-Key"
AppId = Annotated[str, QueryParameter(name="appId", min_length=1, max_length=255)]


def routes(store: Store, campaigns: Campaigns, keys: IdempotencyKeys) -> Routes:  # noqa: C901 - a list
    """The handlers. All are for every principal, who sees the campaigns of its apps."""
    described: dict[str, Any] = {"tag": TAG, "role": "any"}

    @native.post(
        "/campaigns",
        operation_id="createCampaign",
        summary="A new campaign, to be started. With an Idempotency-Key the same request may be sent again.",
        request=NewCampaign,
        optional_header=(IDEMPOTENCY_KEY,),
        status=201,
        **described,
    )
    async def create_campaign(request: Req, body: RawBody) -> CampaignItem:
        command = decode(body, NewCampaign)

        async def create(tx: Any, principal: Any, new: NewCampaign) -> CampaignItem:
            return item_of(await campaigns.create(tx, principal, new))

        created: CampaignItem = await store.write(
            keys.once, request, body, CampaignItem, create, principal_of(request), command
        )
        return created

    @native.get("/campaigns", operation_id="listCampaigns", summary="Of one app, newest first.", **described)
    async def list_campaigns(request: Req, app_id: AppId, limit: Limit = 50, cursor: Cursor = "") -> CampaignPage:
        before_id = open_cursor(cursor) or None
        found = await store.read(campaigns.page, principal_of(request), app_id, before_id, limit + 1)
        shown, next_cursor = cut_page(found, limit, lambda one: one.id)
        return CampaignPage([item_of(one) for one in shown], next_cursor)

    @native.get(
        CAMPAIGN,
        operation_id="getCampaign",
        summary="How far a campaign is, and what became of its pushes.",
        **described,
    )
    async def get_campaign(request: Req, campaign_id: FromPath[str]) -> CampaignDetail:
        campaign = await store.read(campaigns.get, principal_of(request), campaign_id)
        return detail_of(campaign, await store.read(campaigns.pushes, campaign.id))

    @native.post(
        CAMPAIGN + "/users",
        operation_id="addCampaignUsers",
        summary="More users of a list, until it is started. Nobody is told twice.",
        request=CampaignUsers,
        **described,
    )
    async def add_users(request: Req, campaign_id: FromPath[str], body: RawBody) -> CampaignItem:
        command = decode(body, CampaignUsers)
        return item_of(await store.write(campaigns.add_users, principal_of(request), campaign_id, command.users))

    @native.post(CAMPAIGN + "/start", operation_id="startCampaign", summary="Begins to tell the users.", **described)
    async def start_campaign(request: Req, campaign_id: FromPath[str]) -> CampaignItem:
        principal = principal_of(request)
        reached = await store.read(campaigns.count_reached, principal, campaign_id)
        return item_of(await store.write(campaigns.start, principal, campaign_id, reached))

    @native.post(
        CAMPAIGN + "/pause",
        operation_id="pauseCampaign",
        summary="Tells no more users for now; what is queued goes out.",
        **described,
    )
    async def pause_campaign(request: Req, campaign_id: FromPath[str]) -> CampaignItem:
        return await change(request, campaign_id, "PAUSE")

    @native.post(CAMPAIGN + "/resume", operation_id="resumeCampaign", summary="Goes on.", **described)
    async def resume_campaign(request: Req, campaign_id: FromPath[str]) -> CampaignItem:
        return await change(request, campaign_id, "RESUME")

    @native.post(
        CAMPAIGN + "/cancel",
        operation_id="cancelCampaign",
        summary="Tells no more users; what is queued goes out.",
        **described,
    )
    async def cancel_campaign(request: Req, campaign_id: FromPath[str]) -> CampaignItem:
        return await change(request, campaign_id, "CANCEL")

    async def change(request: Req, campaign_id: str, event: Event) -> CampaignItem:
        return item_of(await store.write(campaigns.change, principal_of(request), campaign_id, event))

    return Routes(
        internal=[
            create_campaign,
            list_campaigns,
            get_campaign,
            add_users,
            start_campaign,
            pause_campaign,
            resume_campaign,
            cancel_campaign,
        ]
    )
