"""Named SQL of system users."""

from __future__ import annotations

from ringback.access.model import SystemUser
from ringback.store import Command, Query, columns

user_by_name = Query(
    "user_by_name",
    "One system user.",
    f"SELECT {columns(SystemUser)} FROM system_users WHERE username = $1",
    row=SystemUser,
)
insert_user = Command(
    "insert_user",
    "A new system user.",
    "INSERT INTO system_users (username, role, password_fingerprint, enabled, created_at, version)"
    " VALUES ($1, $2, $3, TRUE, $4, 1)",
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
