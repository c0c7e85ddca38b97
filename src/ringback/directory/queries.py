"""Named SQL of the directory."""

from __future__ import annotations

from ringback.directory.model import StoredClaims, User, claims_row
from ringback.store import Command, Query, columns

user_by_id = Query("user_by_id", "One user.", f"SELECT {columns(User)} FROM users WHERE id = $1", row=User)
user_to_change = Query(
    "user_to_change",
    "One user; nobody else changes it until this unit is over.",
    f"SELECT {columns(User)} FROM users WHERE id = $1",
    row=User,
    writes=True,
    postgres=f"SELECT {columns(User)} FROM users WHERE id = $1 FOR UPDATE",
)
users_after = Query(
    "users_after",
    "Users by id, from the first one after an id.",
    f"SELECT {columns(User)} FROM users WHERE id > $1 ORDER BY id LIMIT $2",
    row=User,
)
insert_user = Command(
    "insert_directory_user",
    "A new user.",
    f"INSERT INTO users ({columns(User)}) VALUES ($1, $2, $3, $4, $5, $6, $7)",
)
save_user = Command(
    "save_directory_user",
    "What is shown of a user, and whether it may log in.",
    "UPDATE users SET display_name = $3, disabled = $4, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
save_password = Command(
    "save_directory_password",
    "Another password of a user.",
    "UPDATE users SET password_hash = $3, password_at = $4, version = version + 1 WHERE id = $1 AND version = $2",
    expect_one=True,
)
# No row is fine: the password was changed meanwhile.
renew_password_hash = Command(
    "renew_password_hash",
    "The same password, hashed with other parameters.",
    "UPDATE users SET password_hash = $3, version = version + 1 WHERE id = $1 AND password_hash = $2",
)
delete_user = Command(
    "delete_directory_user",
    "Forgets a user.",
    "DELETE FROM users WHERE id = $1 AND version = $2",
    expect_one=True,
)
user_claims = Query(
    "user_claims",
    "The claims of one user of an app.",
    f"SELECT {columns(StoredClaims)} FROM user_claims WHERE app_id = $1 AND user_id = $2",
    row=claims_row,
)
save_user_claims = Command(
    "save_user_claims",
    "The claims of a user; newer ones take their place.",
    "INSERT INTO user_claims (app_id, user_id, claims, updated_at, version) VALUES ($1, $2, $3, $4, 1)"
    " ON CONFLICT (app_id, user_id) DO UPDATE SET claims = excluded.claims, updated_at = excluded.updated_at,"
    " version = user_claims.version + 1",
)
delete_user_claims = Command(
    "delete_user_claims",
    "Forgets the claims of a user, unless somebody stored newer ones.",
    "DELETE FROM user_claims WHERE app_id = $1 AND user_id = $2 AND version = $3",
    expect_one=True,
)
