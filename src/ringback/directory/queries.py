"""Named SQL of the directory."""

from __future__ import annotations

from ringback.directory.model import StoredClaims, claims_row
from ringback.store import Command, Query, columns

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
