"""The native API: users (role any, with access to the app)."""

from __future__ import annotations

from litestar.params import FromPath, RawBody

from ringback.directory.model import StoredClaims
from ringback.directory.schema import StoredUserClaims, UserClaims
from ringback.directory.service import DirectoryService, check_claims
from ringback.errors import invalid_field
from ringback.http import Ok, Req, Routes, decode, native, principal_of
from ringback.store import Store

TAG = "Users"
MAX_ID = 255


def routes(store: Store, directory: DirectoryService) -> Routes:
    """The handlers."""
    path = "/apps/{app_id:str}/users/{user_id:str}/claims"

    @native.put(
        path,
        tag=TAG,
        operation_id="setUserClaims",
        summary="What a user's phone is told about its user (OpenID Connect claims).",
        role="any",
        request=UserClaims,
    )
    async def set_claims(
        request: Req, app_id: FromPath[str], user_id: FromPath[str], body: RawBody
    ) -> StoredUserClaims:
        _check_ids(app_id, user_id)
        claims = decode(body, UserClaims).claims
        check_claims(user_id, claims)
        return _shown(await store.write(directory.set_claims, principal_of(request), app_id, user_id, claims))

    @native.get(path, tag=TAG, operation_id="getUserClaims", summary="The stored claims.", role="any")
    async def get_claims(request: Req, app_id: FromPath[str], user_id: FromPath[str]) -> StoredUserClaims:
        _check_ids(app_id, user_id)
        return _shown(await store.read(directory.read_claims, principal_of(request), app_id, user_id))

    @native.delete(path, tag=TAG, operation_id="deleteUserClaims", summary="Forgets the claims.", role="any")
    async def delete_claims(request: Req, app_id: FromPath[str], user_id: FromPath[str]) -> Ok:
        _check_ids(app_id, user_id)
        await store.write(directory.delete_claims, principal_of(request), app_id, user_id)
        return Ok()

    return Routes(internal=[set_claims, get_claims, delete_claims])


def _shown(stored: StoredClaims) -> StoredUserClaims:
    return StoredUserClaims(stored.claims, stored.updated_at)


def _check_ids(app_id: str, user_id: str) -> None:
    for name, value in (("appId", app_id), ("userId", user_id)):
        if not 1 <= len(value) <= MAX_ID:
            raise invalid_field(name, f"1 to {MAX_ID} characters.", value)
