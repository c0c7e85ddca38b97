"""Named SQL of registrations, MAC tokens, temporary keys, replay values and push tokens."""

from __future__ import annotations

import msgspec

from ringback.devices.model import PushTarget, Registration, registration_row
from ringback.store import Command, Query, columns

_REGISTRATION = columns(Registration)
_IN_PROGRESS = "status IN ('CREATED', 'PENDING_COMMIT')"

# registrations --------------------------------------------------------------------------------------------------------

registration_by_id = Query(
    "registration_by_id",
    "One registration, all columns a decision needs.",
    f"SELECT {_REGISTRATION} FROM registrations WHERE id = $1",
    row=registration_row,
    locks=True,
)
registration_by_code = Query(
    "registration_by_code",
    "The registration that an activation code leads to while it can be used.",
    f"SELECT {_REGISTRATION} FROM registrations WHERE app_id = $1 AND activation_code = $2 AND {_IN_PROGRESS}",
    row=registration_row,
    locks=True,
)
in_progress_of_user = Query(
    "in_progress_of_user",
    "Whether a user has a registration in progress in an app that has not expired.",
    f"SELECT id FROM registrations WHERE user_id = $1 AND status <> 'REMOVED' AND app_id = $2"
    f" AND {_IN_PROGRESS} AND expires_at > $3 LIMIT 1",
)
lock_user = Query(
    "lock_user",
    "Until the unit ends, nobody else passes here for the same user and app. SQLite has one writer anyway.",
    "SELECT 1 WHERE $1 IS NOT NULL",
    writes=True,
    postgres="SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
)
expired_in_progress = Query(
    "expired_in_progress",
    "Registrations whose time is over, the longest overdue first.",
    f"SELECT {_REGISTRATION} FROM registrations WHERE {_IN_PROGRESS} AND expires_at <= $1 ORDER BY expires_at LIMIT $2",
    row=registration_row,
    locks=True,
)
insert_registration = Command(
    "insert_registration",
    "A registration that waits for its phone.",
    "INSERT INTO registrations (id, app_id, user_id, status, suite, flags, activation_code, commit_phase, ctr,"
    " failed_attempts, max_failed_attempts, look_ahead, created_at, expires_at, last_used_at, activation_type,"
    " activation_otp_fingerprint, version)"
    " VALUES ($1, $2, $3, 'CREATED', $4, $5, $6, $7, 0, 0, $8, $9, $10, $11, $10, $12, $13, 1)",
)
save_status = Command(
    "save_status",
    "Stores a new status; refuses when somebody else changed the registration.",
    "UPDATE registrations SET status = $3, blocked_reason = $4, failed_attempts = $5, external_user_id = $6,"
    " last_used_at = $7, activation_otp_fingerprint = $8, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
save_flags = Command(
    "save_flags",
    "The flags of a registration; refuses when somebody else changed it.",
    "UPDATE registrations SET flags = $3, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
save_phone_name = Command(
    "save_phone_name",
    "Stores what the phone is called; refuses when somebody else changed the registration.",
    "UPDATE registrations SET name = $3, last_used_at = $4, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
save_keys = Command(
    "save_keys",
    "Stores what the key exchange made, with the new status; refuses when somebody else changed the registration.",
    "UPDATE registrations SET status = $3, protocol_version = $4, name = $5, platform = $6, device_info = $7,"
    " extras = $8, external_id = $9, device_public_key = $10, server_public_key = $11, server_private_key_sealed = $12,"
    " master_secret_sealed = $13, ctr = 0, ctr_data = $14, last_used_at = $15, activation_otp_fingerprint = $16,"
    " failed_attempts = 0, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
save_otp_failure = Command(
    "save_otp_failure",
    "Counts a wrong activation OTP; refuses when somebody else changed the registration.",
    "UPDATE registrations SET failed_attempts = $3, last_used_at = $4, version = version + 1"
    " WHERE id = $1 AND version = $2",
    expect_one=True,
)
save_otp = Command(
    "save_otp",
    "Another activation OTP; refuses when somebody else changed the registration.",
    "UPDATE registrations SET activation_otp_fingerprint = $3, external_user_id = $4, last_used_at = $5,"
    " version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
save_signature_check = Command(
    "save_signature_check",
    "Stores the next counter and the count of failures; refuses when somebody else changed the registration.",
    # Without the status: SQLite writes every partial index anew whose condition mentions a column that is set.
    "UPDATE registrations SET ctr = $3, ctr_data = $4, failed_attempts = $5, last_used_at = $6, version = version + 1"
    " WHERE id = $1 AND version = $2",
    expect_one=True,
)
save_attempts_used_up = Command(
    "save_attempts_used_up",
    "Stores the failure that blocks the registration; refuses when somebody else changed it.",
    "UPDATE registrations SET status = $3, blocked_reason = $4, failed_attempts = $5, last_used_at = $6,"
    " version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)

# MAC tokens -----------------------------------------------------------------------------------------------------------


class StoredMacToken(msgspec.Struct, frozen=True):
    """A MAC token with what decides about it. `used`: whether this nonce was seen."""

    id: str
    secret_sealed: bytes
    signature_type: str
    registration_id: str
    user_id: str
    app_id: str
    status: str
    used: bool


mac_token_for_check = Query(
    "mac_token_for_check",
    "A MAC token, its registration, and whether the nonce was used before.",
    "SELECT m.id, m.secret_sealed, m.signature_type, r.id, r.user_id, r.app_id, r.status,"
    " EXISTS (SELECT 1 FROM replay_values AS v WHERE v.value = $2)"
    " FROM mac_tokens AS m JOIN registrations AS r ON r.id = m.registration_id WHERE m.id = $1",
    row=StoredMacToken,
)
insert_mac_token = Command(
    "insert_mac_token",
    "A new MAC token.",
    "INSERT INTO mac_tokens (id, registration_id, secret_sealed, signature_type, created_at)"
    " VALUES ($1, $2, $3, $4, $5)",
)
surplus_mac_tokens = Query(
    "surplus_mac_tokens",
    "MAC tokens of a registration beyond so many newest ones; ids begin with their time.",
    "SELECT id FROM mac_tokens WHERE registration_id = $1 ORDER BY id DESC LIMIT 100 OFFSET $2",
    row=str,
)
delete_mac_token = Command(
    "delete_mac_token",
    "Forgets one MAC token of a registration.",
    "DELETE FROM mac_tokens WHERE id = $1 AND registration_id = $2",
)
delete_mac_tokens = Command(
    "delete_mac_tokens",
    "Forgets all MAC tokens of a registration that was removed.",
    "DELETE FROM mac_tokens WHERE registration_id = $1",
)

# encryption -----------------------------------------------------------------------------------------------------------


class StoredTemporaryKey(msgspec.Struct, frozen=True):
    """A temporary key. `registration_id` is None in application scope."""

    id: str
    app_key: str
    registration_id: str | None
    private_key_sealed: bytes
    expires_at: int


temporary_key_by_id = Query(
    "temporary_key_by_id",
    "One temporary key.",
    f"SELECT {columns(StoredTemporaryKey)} FROM temporary_keys WHERE id = $1",
    row=StoredTemporaryKey,
)
insert_temporary_key = Command(
    "insert_temporary_key",
    "A new temporary key.",
    "INSERT INTO temporary_keys (id, app_key, registration_id, private_key_sealed, expires_at)"
    " VALUES ($1, $2, $3, $4, $5)",
)
replay_value = Query("replay_value", "Whether a value was used before.", "SELECT 1 FROM replay_values WHERE value = $1")
remember_value = Command(
    "remember_value",
    "Remembers a value that counts once; when somebody was faster the unit runs again and sees it.",
    "INSERT INTO replay_values (value, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    expect_one=True,
)
purge_temporary_keys = Query(
    "purge_temporary_keys",
    "Deletes temporary keys whose time is over.",
    "DELETE FROM temporary_keys WHERE id IN (SELECT id FROM temporary_keys WHERE expires_at <= $1 LIMIT $2)"
    " RETURNING 1",
    writes=True,
)
purge_replay_values = Query(
    "purge_replay_values",
    "Deletes values that are too old to be played again.",
    "DELETE FROM replay_values WHERE value IN (SELECT value FROM replay_values WHERE expires_at <= $1 LIMIT $2)"
    " RETURNING 1",
    writes=True,
)

# push tokens ----------------------------------------------------------------------------------------------------------

push_targets_of_user = Query(
    "push_targets_of_user",
    "Push tokens of a user, and the registrations without any, in every app.",
    "SELECT r.app_id, r.id, NULL, r.status, p.id, p.kind, p.push_token, p.environment, p.language, p.suspended"
    " FROM registrations AS r LEFT JOIN push_tokens AS p ON p.registration_id = r.id"
    " WHERE r.user_id = $1 AND r.status <> 'REMOVED'"
    " UNION ALL SELECT app_id, NULL, device_pkid, NULL, id, kind, push_token, environment, language, suspended"
    " FROM push_tokens WHERE user_id = $1 AND device_pkid IS NOT NULL",
    row=PushTarget,
)
