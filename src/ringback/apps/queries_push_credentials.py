"""Named SQL of push credentials."""

from __future__ import annotations

from ringback.apps.model_push_credentials import CredentialRow, Expiring
from ringback.store import Command, Query, columns

credential_of_kind = Query(
    "push_credential_of_kind",
    "The credential that an app has of one kind.",
    f"SELECT {columns(CredentialRow)} FROM push_credentials WHERE app_id = $1 AND kind = $2",
    row=CredentialRow,
    locks=True,
)
credentials_of_app = Query(
    "push_credentials_of_app",
    "All push credentials of an app, by kind.",
    f"SELECT {columns(CredentialRow)} FROM push_credentials WHERE app_id = $1 ORDER BY kind",
    row=CredentialRow,
)
# An upsert, so that two who store the first one at the same time need no second try: the later one stays.
put_credential = Query(
    "put_push_credential",
    "Stores a credential in the place of the one of its kind.",
    f"INSERT INTO push_credentials({columns(CredentialRow)})"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, 'OK', NULL, $8, $8, 1)"
    " ON CONFLICT (app_id, kind) DO UPDATE SET id = excluded.id, form = excluded.form, public = excluded.public,"
    " secret_sealed = excluded.secret_sealed, not_after = excluded.not_after, status = excluded.status,"
    " status_reason = NULL, status_at = excluded.status_at, created_at = excluded.created_at,"
    f" version = push_credentials.version + 1 RETURNING {columns(CredentialRow, 'push_credentials')}",
    row=CredentialRow,
    writes=True,
)
judge_credential = Command(
    "judge_push_credential",
    "What providers think of a credential; refuses when it was replaced or judged meanwhile.",
    "UPDATE push_credentials SET status = $4, status_reason = $5, status_at = $6, version = version + 1"
    " WHERE app_id = $1 AND kind = $2 AND version = $3",
    expect_one=True,
)
remove_credential = Command(
    "remove_push_credential",
    "Forgets a credential; refuses when it was replaced or judged meanwhile.",
    "DELETE FROM push_credentials WHERE app_id = $1 AND kind = $2 AND version = $3",
    expect_one=True,
)
apps_with_credential = Query(
    "apps_with_push_credential",
    "Some apps that have a credential of one kind, by id.",
    "SELECT app_id FROM push_credentials WHERE kind = $1 ORDER BY app_id LIMIT $2",
    row=str,
)
expiring_credentials = Query(
    "expiring_push_credentials",
    "The credentials that do not last for ever.",
    f"SELECT {columns(Expiring)} FROM push_credentials WHERE not_after IS NOT NULL ORDER BY app_id, kind",
    row=Expiring,
)
