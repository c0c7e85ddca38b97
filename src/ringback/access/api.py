"""PowerAuth Cloud: system users (role admin)."""

from __future__ import annotations

import msgspec
from litestar.params import FromPath, RawBody

from ringback.access.model import UserWithApps
from ringback.access.schema import CreateUser, User, UserList, UserWithPassword
from ringback.access.service import AccessService
from ringback.errors import UniqueViolation, UserExists
from ringback.http import (
    DEFAULT_PAGE_SIZE,
    Ok,
    PageNumber,
    PageSize,
    Req,
    Routes,
    cloud,
    decode,
    principal_of,
    rows_before,
)
from ringback.store import Store

TAG = "System Users"
USER = "/admin/users/{username:str}"
_ROLES = {"admin": "ROLE_ADMIN", "integration": "ROLE_USER", "sip-proxy": "ROLE_SIP_PROXY"}


def routes(store: Store, access: AccessService) -> Routes:  # noqa: C901 - a list
    """The handlers of system users."""

    @cloud.post(
        "/admin/users",
        tag=TAG,
        operation_id="createUser",
        summary="Creates an integration user; the password is shown this once.",
        role="admin",
        request=CreateUser,
    )
    async def create_user(request: Req, body: RawBody) -> UserWithPassword:
        command = decode(body, CreateUser)
        try:
            created = await store.write(access.create_user, principal_of(request), command.username, "integration")
        except UniqueViolation as error:  # somebody else made it at the same time
            raise UserExists(cause=error) from error
        return _with_password(UserWithApps(created.user), created.password)

    @cloud.get("/admin/users", tag=TAG, operation_id="getUserList", summary="System users, by name.", role="admin")
    async def get_user_list(page_number: PageNumber = 0, page_size: PageSize = DEFAULT_PAGE_SIZE) -> UserList:
        skipped = rows_before(page_number, page_size, "Ask for one user by its name.")
        return UserList([_shown(user) for user in await store.read(access.users, skipped, page_size)])

    @cloud.get(USER, tag=TAG, operation_id="getUser", summary="One system user.", role="admin")
    async def get_user(username: FromPath[str]) -> User:
        return _shown(await store.read(access.show_user, username))

    @cloud.delete(
        USER,
        tag=TAG,
        operation_id="deleteUser",
        summary="Forgets a system user; an administrator deletes neither itself nor the last one.",
        role="admin",
    )
    async def delete_user(request: Req, username: FromPath[str]) -> Ok:
        await store.write(access.delete_user, principal_of(request), username)
        access.changed(username)
        return Ok()

    @cloud.post(USER + "/enable", tag=TAG, operation_id="enableUser", summary="Lets a user in again.", role="admin")
    async def enable_user(request: Req, username: FromPath[str]) -> User:
        user = await store.write(access.enable_user, principal_of(request), username)
        access.changed(username)
        return _shown(user)

    @cloud.post(
        USER + "/disable",
        tag=TAG,
        operation_id="disableUser",
        summary="Keeps a user out; an administrator disables neither itself nor the last one.",
        role="admin",
    )
    async def disable_user(request: Req, username: FromPath[str]) -> User:
        user = await store.write(access.disable_user, principal_of(request), username)
        access.changed(username)
        return _shown(user)

    @cloud.post(
        USER + "/password",
        tag=TAG,
        operation_id="resetUserPassword",
        summary="A new password in place of the old one; it is shown this once.",
        role="admin",
    )
    async def reset_password(request: Req, username: FromPath[str]) -> UserWithPassword:
        created, apps = await store.write(access.reset_password, principal_of(request), username)
        access.changed(username)
        return _with_password(UserWithApps(created.user, tuple(apps)), created.password)

    @cloud.post(
        USER + "/applications/{app_id:str}",
        tag=TAG,
        operation_id="addAppAccessToUser",
        summary="Lets an integration user use an app. A body is not needed.",
        role="admin",
    )
    async def allow_app(request: Req, username: FromPath[str], app_id: FromPath[str]) -> User:
        return _shown(await store.write(access.allow_app, principal_of(request), username, app_id))

    @cloud.delete(
        USER + "/applications/{app_id:str}",
        tag=TAG,
        operation_id="removeAppAccessFromUser",
        summary="Takes an app from an integration user.",
        role="admin",
    )
    async def disallow_app(request: Req, username: FromPath[str], app_id: FromPath[str]) -> User:
        return _shown(await store.write(access.disallow_app, principal_of(request), username, app_id))

    return Routes(
        internal=[
            create_user,
            get_user_list,
            get_user,
            delete_user,
            enable_user,
            disable_user,
            reset_password,
            allow_app,
            disallow_app,
        ]
    )


def _shown(found: UserWithApps) -> User:
    user = found.user
    return User(user.username, user.enabled, [_ROLES[user.role]], list(found.apps))


def _with_password(found: UserWithApps, password: str) -> UserWithPassword:
    return UserWithPassword(**msgspec.structs.asdict(_shown(found)), password=password)
