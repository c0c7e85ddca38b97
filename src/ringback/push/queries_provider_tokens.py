"""Named SQL of what authenticates us at providers, shared by all processes."""

from __future__ import annotations

import msgspec

from ringback.store import Command, Query, columns


class ProviderTokenRow(msgspec.Struct, frozen=True):
    """A row. `credential_id` names the key that it was made with; times in Unix milliseconds."""

    credential_id: str
    value_sealed: bytes
    issued_at: int
    expires_at: int
    version: int


provider_token = Query(
    "provider_token",
    "What a key is shown to its provider with.",
    f"SELECT {columns(ProviderTokenRow)} FROM provider_tokens WHERE credential_id = $1",
    row=ProviderTokenRow,
    locks=True,
)

insert_provider_token = Command(
    "insert_provider_token",
    "The first of a key.",
    f"INSERT INTO provider_tokens({columns(ProviderTokenRow)}) VALUES ($1, $2, $3, $4, $5)",
)

replace_provider_token = Command(
    "replace_provider_token",
    "A newer one; only one process replaces an old one.",
    "UPDATE provider_tokens SET value_sealed = $2, issued_at = $3, expires_at = $4, version = version + 1"
    " WHERE credential_id = $1 AND version = $5",
    expect_one=True,
)

purge_provider_tokens = Query(
    "purge_provider_tokens",
    "Forgets those that ran out long ago: their key is gone, or nobody pushes with it.",
    "DELETE FROM provider_tokens WHERE credential_id IN (SELECT credential_id FROM provider_tokens"
    " WHERE expires_at < $1 LIMIT $2) RETURNING credential_id",
    writes=True,
)
