"""Named SQL of system users."""

from __future__ import annotations

from ringback.access.model import GrantedApp, SystemUser
from ringback.store import Command, Query, columns

user_by_name = Query(
    "user_by_name",
    "One system user.",
    f"SELECT {columns(SystemUser)} FROM system_users WHERE username = $1",
    row=SystemUser,
)
users_page = Query(
    "users_page",
    "One page of system users, by name.",
    f"SELECT {columns(SystemUser)} FROM system_users WHERE username IN"
    " (SELECT username FROM system_users ORDER BY username LIMIT $1 OFFSET $2) ORDER BY username",
    row=SystemUser,
)
other_enabled_admin = Query(
    "other_enabled_admin",
    "Whether an enabled administrator is left without this one.",
    "SELECT username FROM system_users WHERE role = 'admin' AND enabled AND username <> $1 LIMIT 1",
    row=str,
)
lock_administrators = Query(
    "lock_administrators",
    "Until the unit ends, nobody else takes an administrator away. SQLite has one writer anyway.",
    "SELECT 1",
    writes=True,
    postgres="SELECT pg_advisory_xact_lock(hashtextextended('ringback.administrators', 0))",
)
insert_user = Command(
    "insert_user",
    "A new system user.",
    "INSERT INTO system_users (username, role, password_fingerprint, enabled, created_at, version)"
    " VALUES ($1, $2, $3, TRUE, $4, 1)",
)
save_enabled = Command(
    "save_enabled",
    "Lets a system user in or keeps it out; refuses when somebody else changed it.",
    "UPDATE system_users SET enabled = $3, version = version + 1 WHERE username = $1 AND version = $2",
    expect_one=True,
)
save_password = Command(
    "save_password",
    "A new password of a system user; refuses when somebody else changed it.",
    "UPDATE system_users SET password_fingerprint = $3, version = version + 1 WHERE username = $1 AND version = $2",
    expect_one=True,
)
delete_user = Command(
    "delete_user",
    "Forgets a system user; refuses when somebody else changed it.",
    "DELETE FROM system_users WHERE username = $1 AND version = $2",
    expect_one=True,
)
delete_grants = Command(
    "delete_grants",
    "Takes all apps from a system user that is to be forgotten.",
    "DELETE FROM system_user_apps WHERE username = $1",
)
disallow_app = Command(
    "disallow_app",
    "Takes an app from a system user.",
    "DELETE FROM system_user_apps WHERE username = $1 AND app_id = $2",
)
allow_app = Command(
    "allow_app",
    "Lets a system user use an app; again is no change.",
    "INSERT INTO system_user_apps (username, app_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
)
apps_of_user = Query(
    "apps_of_user",
    "The apps that an enabled system user may use.",
    "SELECT a.app_id FROM system_users u JOIN system_user_apps a ON a.username = u.username"
    " WHERE u.username = $1 AND u.enabled ORDER BY a.app_id",
    row=str,
)
granted_apps = Query(
    "granted_apps",
    "The apps that were given to a system user, also to a disabled one.",
    "SELECT app_id FROM system_user_apps WHERE username = $1 ORDER BY app_id",
    row=str,
)
granted_apps_between = Query(
    "granted_apps_between",
    "The apps that were given to the system users of one page.",
    "SELECT username, app_id FROM system_user_apps WHERE username >= $1 AND username <= $2 ORDER BY username, app_id",
    row=GrantedApp,
)
