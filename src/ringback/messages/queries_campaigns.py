"""Named SQL of campaigns."""

from __future__ import annotations

from ringback.messages.model_campaigns import Campaign
from ringback.store import Command, Query, columns

_SELECT = f"SELECT {columns(Campaign)} FROM campaigns"

insert_campaign = Command(
    "insert_campaign",
    "A new campaign.",
    f"INSERT INTO campaigns ({columns(Campaign)})"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
)
campaign_by_id = Query("campaign_by_id", "One campaign.", f"{_SELECT} WHERE id = $1", row=Campaign, locks=True)
campaigns_of_app = Query(
    "campaigns_of_app",
    "The campaigns of an app that come before an id, newest first.",
    f"{_SELECT} WHERE app_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    row=Campaign,
)
running_campaigns = Query(
    "running_campaigns",
    "Campaigns that have users to tell, by id, after one of them.",
    f"{_SELECT} WHERE status = 'RUNNING' AND id > $1 ORDER BY id LIMIT $2",
    row=Campaign,
)
save_campaign = Command(
    "save_campaign",
    "Where a campaign is; refuses when somebody else has changed it.",
    "UPDATE campaigns SET status = $3, users = $4, position = $5, last_user_id = $6, users_done = $7,"
    " users_told = $8, pushes = $9, started_at = $10, finished_at = $11, version = version + 1"
    " WHERE id = $1 AND version = $2",
    expect_one=True,
)
# $3: JSON list of users. Who is in the list already keeps its place.
_ADD_USERS = """INSERT INTO campaign_users (campaign_id, position, user_id)
    SELECT $1, $2 + {position}, {user} FROM {users}
    ON CONFLICT (campaign_id, user_id) DO NOTHING RETURNING 1"""
add_campaign_users = Query(
    "add_campaign_users",
    "More users of a list; returns a row for each that was not in it. Each is named once in $3.",
    _ADD_USERS.format(position="key", user="value", users="json_each($3) WHERE TRUE"),
    writes=True,
    postgres=_ADD_USERS.format(
        position="(ordinality - 1)::int",
        user="value",
        users="json_array_elements_text($3::json) WITH ORDINALITY AS listed(value, ordinality)",
    ).replace("$2 +", "$2::int +"),
)
last_position = Query(
    "last_position_of_campaign",
    "The highest place in a campaign's list.",
    "SELECT position FROM campaign_users WHERE campaign_id = $1 ORDER BY position DESC LIMIT 1",
)
campaign_users_after = Query(
    "campaign_users_after",
    "The next users of a list; places that duplicates would have had are free.",
    "SELECT position, user_id FROM campaign_users WHERE campaign_id = $1 AND position > $2 ORDER BY position LIMIT $3",
)
waiting_pushes = Query(
    "waiting_pushes_of_campaign",
    "Pushes of a campaign that are still queued, counted up to a limit.",
    "SELECT count(*) FROM (SELECT 1 FROM pushes WHERE campaign_id = $1 AND status = 'QUEUED' LIMIT $2) AS waiting",
)
pushes_by_status = Query(
    "pushes_of_campaign_by_status",
    "How many pushes of a campaign have which status.",
    "SELECT status, count(*) FROM pushes WHERE campaign_id = $1 AND campaign_id IS NOT NULL GROUP BY status",
)
