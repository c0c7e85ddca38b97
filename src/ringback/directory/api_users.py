"""The native API: the users that may log in (role admin)."""

from __future__ import annotations

from litestar.params import FromPath, RawBody

from ringback.directory.model import User
from ringback.directory.passwords import Passwords
from ringback.directory.schema_users import (
    ChangeUser,
    CreateUser,
    DirectoryUser,
    DirectoryUserPage,
    PasswordSet,
    SetPassword,
)
from ringback.directory.users import Users
from ringback.errors import DirectoryUserExists, UniqueViolation
from ringback.http import (
    Cursor,
    Limit,
    Ok,
    Req,
    Routes,
    cut_page,
    decode,
    native,
    open_cursor,
    principal_of,
)
from ringback.store import Store

TAG = "Users"
USER = "/users/{user_id:str}"


def routes(store: Store, users: Users, passwords: Passwords) -> Routes:
    """The handlers."""

    @native.post(
        "/users",
        tag=TAG,
        operation_id="createDirectoryUser",
        summary="A person that may log in; the same one as the userId of registrations.",
        request=CreateUser,
        status=201,
    )
    async def create_user(request: Req, body: RawBody) -> DirectoryUser:
        new = decode(body, CreateUser)
        hashed = None if new.password is None else await passwords.hash_password(new.password)
        arguments = (principal_of(request), new.user_id, new.display_name, hashed, new.disabled)
        try:
            return _shown(await store.write(users.create, *arguments))
        except UniqueViolation as error:
            raise DirectoryUserExists(cause=error) from error

    @native.get("/users", tag=TAG, operation_id="listDirectoryUsers", summary="Users, by id.")
    async def list_users(cursor: Cursor = "", limit: Limit = 50) -> DirectoryUserPage:
        found = await store.read(users.page, open_cursor(cursor), limit + 1)
        shown, next_cursor = cut_page(found, limit, lambda user: user.id)
        return DirectoryUserPage([_shown(user) for user in shown], next_cursor)

    @native.get(USER, tag=TAG, operation_id="getDirectoryUser", summary="One user.")
    async def get_user(user_id: FromPath[str]) -> DirectoryUser:
        return _shown(await store.read(users.show, user_id))

    @native.put(
        USER,
        tag=TAG,
        operation_id="changeDirectoryUser",
        summary="Another name, or whether the user may log in. Its UDS devices are reached only while it may.",
        request=ChangeUser,
    )
    async def change_user(request: Req, user_id: FromPath[str], body: RawBody) -> DirectoryUser:
        wanted = decode(body, ChangeUser)
        arguments = (principal_of(request), user_id, wanted.display_name, wanted.disabled)
        return _shown(await store.write(users.change, *arguments))

    @native.put(
        USER + "/password",
        tag=TAG,
        operation_id="setDirectoryUserPassword",
        summary="Another password: this one, or one that is made and shown this once.",
        request=SetPassword,
    )
    async def set_password(request: Req, user_id: FromPath[str], body: RawBody) -> PasswordSet:
        chosen = decode(body, SetPassword, optional=True).password
        await store.read(users.show, user_id)  # nobody pays for the hash of a user that is not there
        password = chosen or passwords.new_password()
        hashed = await passwords.hash_password(password)
        await store.write(users.set_password, principal_of(request), user_id, hashed)
        return PasswordSet(user_id, None if chosen else password)

    @native.delete(
        USER,
        tag=TAG,
        operation_id="deleteDirectoryUser",
        summary="Forgets the login and the UDS devices; registrations and claims stay.",
    )
    async def delete_user(request: Req, user_id: FromPath[str]) -> Ok:
        await store.write(users.delete, principal_of(request), user_id)
        return Ok()

    return Routes(internal=[create_user, list_users, get_user, change_user, set_password, delete_user])


def _shown(user: User) -> DirectoryUser:
    return DirectoryUser(user.id, user.display_name, user.disabled, user.created_at, user.password_at)
