"""PowerAuth Cloud: system users (role admin)."""

from __future__ import annotations

from typing import Any

from litestar import Request

from ringback.access.schema import CreateUser, User
from ringback.access.service import AccessService
from ringback.errors import UniqueViolation, UserExists
from ringback.http import Routes, cloud, decode, principal_of
from ringback.store import Store

Req = Request[Any, Any, Any]
_ROLES = {"admin": "ROLE_ADMIN", "integration": "ROLE_USER"}


def routes(store: Store, access: AccessService) -> Routes:
    """The handlers of system users."""

    @cloud.post(
        "/admin/users",
        tag="System Users",
        operation_id="createUser",
        summary="Creates an integration user; the password is shown this once.",
        role="admin",
        request=CreateUser,
    )
    async def create_user(request: Req, body: bytes) -> User:
        command = decode(body, CreateUser)
        try:
            created = await store.write(access.create_user, principal_of(request), command.username, "integration")
        except UniqueViolation as error:  # somebody else made it at the same time
            raise UserExists(cause=error) from error
        return User(created.user.username, enabled=True, role=["ROLE_USER"], applications=[], password=created.password)

    @cloud.post(
        "/admin/users/{username:str}/applications/{app_id:str}",
        tag="System Users",
        operation_id="addAppAccessToUser",
        summary="Lets an integration user use an app. A body is not needed.",
        role="admin",
    )
    async def allow_app(request: Req, username: str, app_id: str) -> User:
        user, apps = await store.write(access.allow_app, principal_of(request), username, app_id)
        return User(user.username, enabled=user.enabled, role=[_ROLES[user.role]], applications=apps)

    return Routes(internal=[create_user, allow_app])
