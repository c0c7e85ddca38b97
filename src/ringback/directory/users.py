"""The users that may log in: made, changed, kept out, forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from ringback.clock import Clock
from ringback.directory import queries
from ringback.directory.model import User
from ringback.errors import DirectoryUserExists, DirectoryUserNotFound

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.directory.needs import UdsPushTokens
    from ringback.principal import Principal
    from ringback.store import Tx


class Users:
    """Users. Methods whose first argument is `tx` are units of work; they take passwords as hashes.

    Whoever changes a user takes its row first, so that nothing that asked `is_enabled` meanwhile is overlooked.
    """

    def __init__(self, *, clock: Clock, audit: AuditLog, push_tokens: UdsPushTokens) -> None:
        self._clock = clock
        self._audit = audit
        self._push_tokens = push_tokens

    # for other rooms --------------------------------------------------------------------------------------------------

    async def is_enabled(self, tx: Tx, user_id: str) -> bool:
        """Unit: whether the user may log in; nobody else changes the user before this unit is over."""
        user = await tx.one(queries.user_to_change, user_id)
        return user is not None and not user.disabled

    # looking ----------------------------------------------------------------------------------------------------------

    async def find(self, tx: Tx, user_id: str) -> User | None:
        """Unit: one user, or None."""
        return await tx.one(queries.user_by_id, user_id)

    async def show(self, tx: Tx, user_id: str) -> User:
        """Unit: one user. Raises DirectoryUserNotFound."""
        user = await tx.one(queries.user_by_id, user_id)
        if user is None:
            raise DirectoryUserNotFound
        return user

    async def page(self, tx: Tx, after: str, limit: int) -> list[User]:
        """Unit: users by id, from the first one after `after`."""
        return await tx.all(queries.users_after, after, limit)

    # changing ---------------------------------------------------------------------------------------------------------

    async def create(
        self,
        tx: Tx,
        principal: Principal,
        user_id: str,
        display_name: str | None,
        password_hash: str | None,
        disabled: bool,  # noqa: FBT001 - units take their arguments by position
    ) -> User:
        """Unit: a new user. Raises DirectoryUserExists, or UniqueViolation when it was made at the same moment."""
        if await tx.one(queries.user_by_id, user_id) is not None:
            raise DirectoryUserExists
        now = self._clock.now_ms()
        user = User(
            id=user_id,
            display_name=display_name,
            password_hash=password_hash,
            disabled=disabled,
            created_at=now,
            password_at=None if password_hash is None else now,
            version=1,
        )
        await tx.run(queries.insert_user, *msgspec.structs.astuple(user))
        details = {"disabled": disabled, "password": password_hash is not None}
        await self._record(tx, principal, "user.create", user_id, details)
        return user

    async def change(
        self,
        tx: Tx,
        principal: Principal,
        user_id: str,
        display_name: str | UnsetType | None,
        disabled: bool | UnsetType,  # noqa: FBT001 - as above
    ) -> User:
        """Unit: another name to show, or whether the user may log in; UNSET stays. Raises DirectoryUserNotFound.

        A disabled user's UDS devices are not reached until it is enabled again.
        """
        user = await self._take(tx, user_id)
        changed = msgspec.structs.replace(
            user,
            display_name=user.display_name if display_name is UNSET else display_name,
            disabled=user.disabled if disabled is UNSET else disabled,
            version=user.version + 1,
        )
        if (changed.display_name, changed.disabled) == (user.display_name, user.disabled):
            return user
        await tx.run(queries.save_user, user_id, user.version, changed.display_name, changed.disabled)
        if changed.disabled is not user.disabled:
            await self._push_tokens.suspend_user(tx, user_id, suspended=changed.disabled)
            await self._record(tx, principal, "user.disable" if changed.disabled else "user.enable", user_id)
        if changed.display_name != user.display_name:
            await self._record(tx, principal, "user.rename", user_id)
        return changed

    async def set_password(self, tx: Tx, principal: Principal, user_id: str, password_hash: str) -> User:
        """Unit: another password; the old one is worth nothing from now on. Raises DirectoryUserNotFound."""
        user = await self._take(tx, user_id)
        now = self._clock.now_ms()
        await tx.run(queries.save_password, user_id, user.version, password_hash, now)
        await self._record(tx, principal, "user.set_password", user_id)
        return msgspec.structs.replace(user, password_hash=password_hash, password_at=now, version=user.version + 1)

    async def renew_hash(self, tx: Tx, user_id: str, password_hash: str, renewed: str) -> None:
        """Unit: the same password, hashed anew; nothing when it was changed meanwhile."""
        await tx.run(queries.renew_password_hash, user_id, password_hash, renewed)

    async def delete(self, tx: Tx, principal: Principal, user_id: str) -> None:
        """Unit: forgets the login and the UDS devices. Raises DirectoryUserNotFound.

        Registrations and claims stay: they are the apps', and need no user in the directory.
        """
        user = await self._take(tx, user_id)
        await tx.run(queries.delete_user, user_id, user.version)
        await self._push_tokens.forget_user(tx, user_id)
        await self._record(tx, principal, "user.delete", user_id)

    async def _take(self, tx: Tx, user_id: str) -> User:
        user = await tx.one(queries.user_to_change, user_id)
        if user is None:
            raise DirectoryUserNotFound
        return user

    async def _record(
        self, tx: Tx, principal: Principal, action: str, user_id: str, details: dict[str, Any] | None = None
    ) -> None:
        await self._audit.record(
            tx, principal, action, subject_kind="user", subject_id=user_id, user_id=user_id, details=details
        )
