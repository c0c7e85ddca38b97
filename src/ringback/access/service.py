"""System users: made, allowed to use apps, asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.access import queries
from ringback.access.model import (
    PASSWORD_CHARACTERS,
    PASSWORD_LENGTH,
    PASSWORD_PURPOSE,
    CreatedUser,
    Role,
    SystemUser,
)
from ringback.clock import Clock, Randomness
from ringback.errors import AppNotFound, UserExists, UserNotFound
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

    async def create_user(self, tx: Tx, principal: Principal, username: str, role: Role) -> CreatedUser:
        """A new user with a generated password. Raises UserExists."""
        if await tx.one(queries.user_by_name, username) is not None:
            raise UserExists
        password = self._new_password()
        fingerprint = self._vault.fingerprint(password.encode(), PASSWORD_PURPOSE)
        now = self._clock.now_ms()
        user = SystemUser(username, role, fingerprint, enabled=True, created_at=now, version=1)
        await tx.run(queries.insert_user, username, role, fingerprint, now)
        await self._audit.record(
            tx, principal, "system_user.create", subject_kind="system_user", subject_id=username, details={"role": role}
        )
        return CreatedUser(user, password)

    async def allow_app(self, tx: Tx, principal: Principal, username: str, app_id: str) -> tuple[SystemUser, list[str]]:
        """Lets the user use the app; returns the user and all its apps. Raises UserNotFound, AppNotFound."""
        user = await tx.one(queries.user_by_name, username)
        if user is None:
            raise UserNotFound
        if not await self._apps.exists(tx, app_id):
            raise AppNotFound
        apps = await tx.all(queries.apps_of_user, username)
        if app_id not in apps:
            await tx.run(queries.allow_app, username, app_id)
            await self._audit.record(
                tx,
                principal,
                "system_user.allow_app",
                subject_kind="system_user",
                subject_id=username,
                app_id=app_id,
            )
        return user, sorted({*apps, app_id})

    async def user(self, tx: Tx, username: str) -> SystemUser | None:
        """One user, or None."""
        return await tx.one(queries.user_by_name, username)

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        """The apps that the principal may use now; a user that is disabled or gone has none."""
        return frozenset(await tx.all(queries.apps_of_user, principal.name))

    def _new_password(self) -> str:
        """Each character drawn evenly: bytes beyond the last whole multiple of the alphabet are drawn again."""
        letters: list[str] = []
        size = len(PASSWORD_CHARACTERS)
        while len(letters) < PASSWORD_LENGTH:
            letters += [
                PASSWORD_CHARACTERS[byte % size] for byte in self._randomness.bytes(32) if byte < 256 - 256 % size
            ]
        return "".join(letters[:PASSWORD_LENGTH])
