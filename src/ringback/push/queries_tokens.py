"""Named SQL of push tokens."""

from __future__ import annotations

from ringback.push.model_tokens import PushToken
from ringback.store import Command, Query, columns

_SELECT = f"SELECT {columns(PushToken)} FROM push_tokens"

push_token_by_id = Query("push_token_by_id", "One push token.", f"{_SELECT} WHERE id = $1", row=PushToken)
push_token_of_registration = Query(
    "push_token_of_registration",
    "The push token of a registration and kind.",
    f"{_SELECT} WHERE registration_id = $1 AND kind = $2",
    row=PushToken,
)
push_token_of_uds_device = Query(
    "push_token_of_uds_device",
    "The push token of a user's UDS device.",
    f"{_SELECT} WHERE user_id = $1 AND device_pkid = $2",
    row=PushToken,
)
push_token_of_sip_instance = Query(
    "push_token_of_sip_instance",
    "The push token of a subscriber's SIP instance and kind.",
    f"{_SELECT} WHERE subscriber_id = $1 AND sip_instance = $2 AND kind = $3",
    row=PushToken,
)
push_token_by_value = Query(
    "push_token_by_value",
    "Whose a push token is.",
    f"{_SELECT} WHERE app_id = $1 AND kind = $2 AND push_token = $3",
    row=PushToken,
)
count_uds_devices = Query(
    "count_uds_devices",
    "How many UDS devices a user has, counted up to a limit.",
    "SELECT count(*) FROM (SELECT 1 FROM push_tokens WHERE user_id = $1 AND device_pkid IS NOT NULL LIMIT $2)"
    " AS devices",
    row=int,
)
push_tokens_of_user = Query(
    "push_tokens_of_user",
    "Every push token of a user.",
    f"{_SELECT} WHERE user_id = $1",
    row=PushToken,
)
users_reached = Query(
    "users_reached_by_app",
    "The users whom an app can reach, by id, after one of them.",
    "SELECT DISTINCT user_id FROM push_tokens WHERE app_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3",
)
count_users_reached = Query(
    "count_users_reached_by_app",
    "How many users an app can reach.",
    "SELECT count(DISTINCT user_id) FROM push_tokens WHERE app_id = $1",
)
release_push_token = Command(
    "release_push_token",
    "Takes a push token from whoever had it before.",
    "DELETE FROM push_tokens WHERE app_id = $1 AND kind = $2 AND push_token = $3 AND id <> $4",
)
save_push_token = Command(
    "save_push_token",
    "A push token; a newer one of the same owner takes its place.",
    f"INSERT INTO push_tokens ({columns(PushToken)})"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
    " ON CONFLICT (id) DO UPDATE SET app_id = excluded.app_id, kind = excluded.kind,"
    " push_token = excluded.push_token, environment = excluded.environment,"
    " encryption_key_sealed = excluded.encryption_key_sealed, language = excluded.language,"
    " suspended = excluded.suspended, registered_at = excluded.registered_at, version = push_tokens.version + 1",
)
tell_push_token_again = Command(
    "tell_push_token_again",
    "The phone has told a push token again that is still the same.",
    "UPDATE push_tokens SET registered_at = $3, version = version + 1 WHERE id = $1 AND push_token = $2",
)
set_environment = Command(
    "set_push_token_environment",
    "Corrects the environment of a push token that is still the same.",
    "UPDATE push_tokens SET environment = $3, version = version + 1 WHERE id = $1 AND push_token = $2",
)
suspend_of_registration = Command(
    "suspend_push_tokens_of_registration",
    "Whether a registration may be reached.",
    "UPDATE push_tokens SET suspended = $2, version = version + 1 WHERE registration_id = $1 AND suspended <> $2",
)
suspend_of_user = Command(
    "suspend_push_tokens_of_user",
    "Whether the UDS devices of a user may be reached.",
    "UPDATE push_tokens SET suspended = $2, version = version + 1"
    " WHERE user_id = $1 AND device_pkid IS NOT NULL AND suspended <> $2",
)
delete_of_subscriber = Command(
    "delete_push_tokens_of_subscriber",
    "Forgets the push tokens that came with a subscriber's bindings.",
    "DELETE FROM push_tokens WHERE subscriber_id = $1",
)
give_of_subscriber = Command(
    "give_push_tokens_of_subscriber",
    "The subscriber belongs to another user, and so do the push tokens that came with its bindings.",
    "UPDATE push_tokens SET user_id = $2, version = version + 1 WHERE subscriber_id = $1 AND user_id <> $2",
)
delete_push_token = Command(
    "delete_push_token",
    "Forgets a push token that is dead.",
    "DELETE FROM push_tokens WHERE id = $1 AND version = $2",
    expect_one=True,
)
delete_of_registration = Command(
    "delete_push_tokens_of_registration",
    "Forgets the push tokens of a registration that was removed.",
    "DELETE FROM push_tokens WHERE registration_id = $1",
)
delete_of_uds_device = Command(
    "delete_push_token_of_uds_device",
    "Forgets the push token of a UDS device.",
    "DELETE FROM push_tokens WHERE user_id = $1 AND device_pkid = $2",
)
delete_of_user = Command(
    "delete_push_tokens_of_user",
    "Forgets the push tokens of a user's UDS devices.",
    "DELETE FROM push_tokens WHERE user_id = $1 AND device_pkid IS NOT NULL",
)
