"""System users: made, allowed to use apps, kept out, asked about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ringback.access import queries
from ringback.access.model import (
    PASSWORD_CHARACTERS,
    PASSWORD_LENGTH,
    PASSWORD_PURPOSE,
    CreatedUser,
    Role,
    SystemUser,
    UserWithApps,
)
from ringback.clock import Clock, Randomness
from ringback.errors import AppNotFound, LastAdministrator, OwnAccountRefused, UserExists, UserNotFound
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.apps import AppsService
    from ringback.audit import AuditLog
    from ringback.principal import Principal
    from ringback.secrets import Vault


class AccessService:
    """System users. Methods whose first argument is `tx` are units of work."""

    def __init__(
        self, *, clock: Clock, randomness: Randomness, vault: Vault, apps: AppsService, audit: AuditLog
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._apps = apps
        self._audit = audit
        self._listeners: list[Callable[[str], None]] = []

    # who remembers users ----------------------------------------------------------------------------------------------

    def when_changed(self, forget: Callable[[str], None]) -> None:
        """`forget` is called with the name of each user that changed, so that nobody goes on believing a cache."""
        self._listeners.append(forget)

    def changed(self, username: str) -> None:
        """After COMMIT: this user is not any more what it was."""
        for forget in self._listeners:
            forget(username)

    # changing ---------------------------------------------------------------------------------------------------------

    async def create_user(self, tx: Tx, principal: Principal, username: str, role: Role) -> CreatedUser:
        """A new user with a generated password. Raises UserExists."""
        if await tx.one(queries.user_by_name, username) is not None:
            raise UserExists
        password = self._new_password()
        fingerprint = self._vault.fingerprint(password.encode(), PASSWORD_PURPOSE)
        now = self._clock.now_ms()
        user = SystemUser(username, role, fingerprint, enabled=True, created_at=now, version=1)
        await tx.run(queries.insert_user, username, role, fingerprint, now)
        await self._record(tx, principal, "system_user.create", username, details={"role": role})
        return CreatedUser(user, password)

    async def delete_user(self, tx: Tx, principal: Principal, username: str) -> None:
        """Forgets the user; its rows in the audit log stay. Raises UserNotFound, OwnAccountRefused, LastAdministrator.

        The same name may be given again later: it is then another user, with another password and without apps.
        """
        user = await self._find(tx, username)
        await self._demand_another_administrator(tx, principal, user)
        await tx.run(queries.delete_grants, username)
        await tx.run(queries.delete_user, username, user.version)
        await self._record(tx, principal, "system_user.delete", username, details={"role": user.role})

    async def enable_user(self, tx: Tx, principal: Principal, username: str) -> UserWithApps:
        """Lets the user in again; one that may come in already stays as it is. Raises UserNotFound."""
        return await self._set_enabled(tx, principal, await self._find(tx, username), enabled=True)

    async def disable_user(self, tx: Tx, principal: Principal, username: str) -> UserWithApps:
        """Keeps the user out, whatever password it sends. Raises UserNotFound, OwnAccountRefused, LastAdministrator."""
        user = await self._find(tx, username)
        if user.enabled:
            await self._demand_another_administrator(tx, principal, user)
        return await self._set_enabled(tx, principal, user, enabled=False)

    async def reset_password(self, tx: Tx, principal: Principal, username: str) -> tuple[CreatedUser, list[str]]:
        """A new password in place of the old one, and the user's apps. Raises UserNotFound."""
        user = await self._find(tx, username)
        apps = await tx.all(queries.granted_apps, username)
        password = self._new_password()
        fingerprint = self._vault.fingerprint(password.encode(), PASSWORD_PURPOSE)
        await tx.run(queries.save_password, username, user.version, fingerprint)
        await self._record(tx, principal, "system_user.reset_password", username)
        return CreatedUser(user, password), apps

    async def allow_app(self, tx: Tx, principal: Principal, username: str, app_id: str) -> UserWithApps:
        """Lets the user use the app; returns the user with all its apps. Raises UserNotFound, AppNotFound."""
        user, apps = await self._user_and_apps(tx, username, app_id)
        if app_id not in apps:
            await tx.run(queries.allow_app, username, app_id)
            await self._record(tx, principal, "system_user.allow_app", username, app_id)
        return UserWithApps(user, tuple(sorted({*apps, app_id})))

    async def disallow_app(self, tx: Tx, principal: Principal, username: str, app_id: str) -> UserWithApps:
        """Takes the app from the user; one that it does not have is no error. Raises UserNotFound, AppNotFound."""
        user, apps = await self._user_and_apps(tx, username, app_id)
        if app_id in apps:
            await tx.run(queries.disallow_app, username, app_id)
            await self._record(tx, principal, "system_user.disallow_app", username, app_id)
        return UserWithApps(user, tuple(app for app in apps if app != app_id))

    # looking ----------------------------------------------------------------------------------------------------------

    async def user(self, tx: Tx, username: str) -> SystemUser | None:
        """One user, or None."""
        return await tx.one(queries.user_by_name, username)

    async def show_user(self, tx: Tx, username: str) -> UserWithApps:
        """One user with its apps. Raises UserNotFound."""
        user = await self._find(tx, username)
        return UserWithApps(user, tuple(await tx.all(queries.granted_apps, username)))

    async def users(self, tx: Tx, skipped: int, limit: int) -> list[UserWithApps]:
        """One page of users, by name."""
        users = await tx.all(queries.users_page, limit, skipped)
        if not users:
            return []
        apps: dict[str, list[str]] = {}
        for granted in await tx.all(queries.granted_apps_between, users[0].username, users[-1].username):
            apps.setdefault(granted.username, []).append(granted.app_id)
        return [UserWithApps(user, tuple(apps.get(user.username, ()))) for user in users]

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        """The apps that the principal may use now; a user that is disabled or gone has none."""
        return frozenset(await tx.all(queries.apps_of_user, principal.name))

    async def reach_of(self, tx: Tx, principal: Principal) -> frozenset[str] | None:
        """What the principal may look at in the native API: these apps, or None for everything.

        Everything is for an administrator, and for who may use the command line on this machine.
        """
        if principal.kind == "cli":
            return None
        if principal.role == "admin":
            user = await tx.one(queries.user_by_name, principal.name)
            return None if user is not None and user.enabled and user.role == "admin" else frozenset()
        return await self.apps_of(tx, principal)

    # inside -----------------------------------------------------------------------------------------------------------

    async def _find(self, tx: Tx, username: str) -> SystemUser:
        if "\0" in username:
            raise UserNotFound
        user = await tx.one(queries.user_by_name, username)
        if user is None:
            raise UserNotFound
        return user

    async def _user_and_apps(self, tx: Tx, username: str, app_id: str) -> tuple[SystemUser, list[str]]:
        user = await self._find(tx, username)
        if "\0" in app_id or not await self._apps.exists(tx, app_id):
            raise AppNotFound
        return user, await tx.all(queries.granted_apps, username)

    async def _demand_another_administrator(self, tx: Tx, principal: Principal, user: SystemUser) -> None:
        """Nobody shuts the door behind itself: an enabled administrator stays, and it is the one who asks."""
        if user.username == principal.name and principal.kind == "system_user":
            raise OwnAccountRefused
        if user.role == "admin" and user.enabled:
            await tx.one(queries.lock_administrators)
            if await tx.one(queries.other_enabled_admin, user.username) is None:
                raise LastAdministrator

    async def _set_enabled(self, tx: Tx, principal: Principal, user: SystemUser, *, enabled: bool) -> UserWithApps:
        apps = tuple(await tx.all(queries.granted_apps, user.username))
        if user.enabled is enabled:
            return UserWithApps(user, apps)
        await tx.run(queries.save_enabled, user.username, user.version, enabled)
        action = "system_user.enable" if enabled else "system_user.disable"
        await self._record(tx, principal, action, user.username)
        changed = SystemUser(
            user.username, user.role, user.password_fingerprint, enabled, user.created_at, user.version + 1
        )
        return UserWithApps(changed, apps)

    async def _record(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        username: str,
        app_id: str | None = None,
        *,
        details: dict[str, Any] | None = None,
    ) -> None:
        await self._audit.record(
            tx,
            principal,
            action,
            subject_kind="system_user",
            subject_id=username,
            app_id=app_id,
            details=details,
        )

    def _new_password(self) -> str:
        """Each character drawn evenly: bytes beyond the last whole multiple of the alphabet are drawn again."""
        letters: list[str] = []
        size = len(PASSWORD_CHARACTERS)
        while len(letters) < PASSWORD_LENGTH:
            letters += [
                PASSWORD_CHARACTERS[byte % size] for byte in self._randomness.bytes(32) if byte < 256 - 256 % size
            ]
        return "".join(letters[:PASSWORD_LENGTH])
