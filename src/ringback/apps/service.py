"""Making apps and finding what belongs to them."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.apps import queries
from ringback.apps.configuration import ConfigurationReader
from ringback.apps.model import (
    FIRST_VERSION,
    MASTER_KEY_P256,
    App,
    AppCredentials,
    AppVersion,
    StoredMasterKey,
    StoredVersion,
    VersionCredentials,
)
from ringback.clock import Clock, Randomness
from ringback.errors import AppExists, AppNotFound, AppVersionExists, AppVersionNotFound
from ringback.protocols.powerauth.keys import (
    generate_private_key,
    private_key_from_bytes,
    private_key_to_bytes,
    public_key_to_bytes,
)
from ringback.protocols.powerauth.sdk_configuration import SdkConfiguration, build_sdk_configuration
from ringback.store import Tx

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from ringback.audit import AuditLog
    from ringback.principal import Principal
    from ringback.secrets import Vault

CACHE_MS = 1_500
CACHE_ENTRIES = 2_000
SDK_KEY_BYTES = 16


class AppsService:
    """Apps, their versions and their master keys. Methods whose first argument is `tx` are units of work."""

    def __init__(self, *, clock: Clock, randomness: Randomness, vault: Vault, audit: AuditLog) -> None:
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._audit = audit
        self._versions: OrderedDict[str, tuple[int, AppVersion]] = OrderedDict()
        self._master_keys: OrderedDict[str, tuple[int, ec.EllipticCurvePrivateKey]] = OrderedDict()
        self.configurations = ConfigurationReader(clock=clock, vault=vault)

    async def create(self, tx: Tx, principal: Principal, app_id: str, roles: Sequence[str]) -> AppCredentials:
        """A new app with its first version and its P-256 master key. Raises AppExists."""
        if await tx.one(queries.app_by_id, app_id) is not None:
            raise AppExists
        now = self._clock.now_ms()
        app = App(app_id, _encoded(roles), now, 1)
        private_key = generate_private_key()
        public_key = public_key_to_bytes(private_key.public_key())
        await tx.run(queries.insert_app, app.id, app.roles, now)
        version = await self._insert_version(tx, app_id, FIRST_VERSION)
        sealed_key = self._vault.seal(private_key_to_bytes(private_key), _master_identity(app_id))
        await tx.run(queries.insert_master_key, app_id, MASTER_KEY_P256, public_key, sealed_key)
        await self._record(tx, principal, "app.create", app_id)
        public_keys = {MASTER_KEY_P256: public_key}
        return AppCredentials(app, public_key, (_credentials(version, public_keys),))

    async def credentials(self, tx: Tx, app_id: str) -> AppCredentials:
        """What developers build into the mobile app, for each version. Raises AppNotFound."""
        app = await self._find(tx, app_id)
        public_keys = await self._public_keys(tx, app_id)
        versions = [self._open_version(stored) for stored in await tx.all(queries.versions_of_app, app_id)]
        shown = tuple(_credentials(version, public_keys) for version in versions)
        return AppCredentials(app, public_keys[MASTER_KEY_P256], shown)

    async def set_roles(self, tx: Tx, principal: Principal, app_id: str, roles: Sequence[str]) -> App:
        """The app with these roles in place of those it had. Raises AppNotFound."""
        app = await self._find(tx, app_id)
        encoded = _encoded(dict.fromkeys(roles))
        await tx.run(queries.save_roles, app_id, app.version, encoded)
        details = {"roles": list(dict.fromkeys(roles))}
        await self._record(tx, principal, "app.set_roles", app_id, details)
        return App(app.id, encoded, app.created_at, app.version + 1)

    async def add_version(self, tx: Tx, principal: Principal, app_id: str, name: str) -> VersionCredentials:
        """A new version with an app key and a secret of its own. Raises AppNotFound, AppVersionExists."""
        await self._find(tx, app_id)
        if await tx.one(queries.version_by_name, app_id, name) is not None:
            raise AppVersionExists
        public_keys = await self._public_keys(tx, app_id)
        version = await self._insert_version(tx, app_id, name)
        await self._record(tx, principal, "app.add_version", app_id, {"name": name, "appKey": version.app_key})
        return _credentials(version, public_keys)

    async def set_supported(
        self,
        tx: Tx,
        principal: Principal,
        app_id: str,
        name: str,
        supported: bool,  # noqa: FBT001 - as units take them
    ) -> VersionCredentials:
        """Whether the server listens to phones with this version. Raises AppNotFound, AppVersionNotFound.

        Call `forget_version` after COMMIT; other processes notice within two seconds.
        """
        await self._find(tx, app_id)
        if "\0" in name:
            raise AppVersionNotFound
        stored = await tx.one(queries.version_by_name, app_id, name)
        if stored is None:
            raise AppVersionNotFound
        public_keys = await self._public_keys(tx, app_id)
        if stored.supported is not supported:
            await tx.run(queries.save_supported, stored.app_key, supported)
            action = "app.support_version" if supported else "app.unsupport_version"
            await self._record(tx, principal, action, app_id, {"name": name, "appKey": stored.app_key})
        return _credentials(msgspec.structs.replace(self._open_version(stored), supported=supported), public_keys)

    def forget_version(self, app_key: str) -> None:
        """The next phone with this app key has it looked up: it was changed in this process."""
        self._versions.pop(app_key, None)

    async def page(self, tx: Tx, skipped: int, limit: int) -> list[App]:
        """One page of apps, by id."""
        return await tx.all(queries.apps_page, limit, skipped)

    async def all(self, tx: Tx) -> list[App]:
        """Every app, by id."""
        return await tx.all(queries.all_apps)

    async def exists(self, tx: Tx, app_id: str) -> bool:
        """Whether there is such an app."""
        return await tx.one(queries.app_by_id, app_id) is not None

    async def roles_of(self, tx: Tx, app_id: str) -> tuple[str, ...]:
        """The roles of an app, as its back end named them; none for an unknown one."""
        app = await tx.one(queries.app_by_id, app_id)
        return () if app is None else msgspec.json.decode(app.roles, type=tuple[str, ...])

    async def version_by_key(self, tx: Tx, app_key: str) -> AppVersion | None:
        """The version that an app key belongs to, at most two seconds old; None when there is none."""
        now = self._clock.now_ms()
        cached = self._versions.get(app_key)
        if cached is not None and 0 <= now - cached[0] < CACHE_MS:
            return cached[1]
        stored = await tx.one(queries.version_by_key, app_key)
        if stored is None:
            self._versions.pop(app_key, None)
            return None
        version = self._open_version(stored)
        self._versions[app_key] = (now, version)
        if len(self._versions) > CACHE_ENTRIES:
            self._versions.popitem(last=False)
        return version

    async def master_private_key(self, tx: Tx, app_id: str) -> ec.EllipticCurvePrivateKey:
        """The app's P-256 master key, at most two seconds old. Raises AppNotFound.

        It never changes, but what a unit saw may never have been committed, and then the app can be made once more.
        """
        now = self._clock.now_ms()
        cached = self._master_keys.get(app_id)
        if cached is not None and 0 <= now - cached[0] < CACHE_MS:
            return cached[1]
        stored: StoredMasterKey | None = await tx.one(queries.master_key, app_id, MASTER_KEY_P256)
        if stored is None:
            raise AppNotFound
        key = private_key_from_bytes(self._vault.unseal(stored.private_key_sealed, _master_identity(app_id)))
        self._master_keys[app_id] = (now, key)
        if len(self._master_keys) > CACHE_ENTRIES:
            self._master_keys.popitem(last=False)
        return key

    async def configuration(self, tx: Tx, app_id: str, key: str) -> Any | None:
        """What is configured for an app under a key of `schema_configuration.SHAPES`, as decoded JSON; None = nothing.

        At most two seconds old. The reader must not change it.
        """
        return await self.configurations.value(tx, app_id, key)

    async def _find(self, tx: Tx, app_id: str) -> App:
        if "\0" in app_id:
            raise AppNotFound
        app = await tx.one(queries.app_by_id, app_id)
        if app is None:
            raise AppNotFound
        return app

    async def _public_keys(self, tx: Tx, app_id: str) -> dict[int, bytes]:
        return {key.key_id: key.public_key for key in await tx.all(queries.master_public_keys, app_id)}

    async def _insert_version(self, tx: Tx, app_id: str, name: str) -> AppVersion:
        app_key, app_secret = (
            base64.b64encode(self._randomness.bytes(SDK_KEY_BYTES)).decode(),
            base64.b64encode(self._randomness.bytes(SDK_KEY_BYTES)).decode(),
        )
        sealed = self._vault.seal(app_secret.encode(), _secret_identity(app_key))
        await tx.run(queries.insert_version, app_key, app_id, name, sealed, self._clock.now_ms())
        return AppVersion(app_id, name, app_key, app_secret, supported=True)

    async def _record(
        self, tx: Tx, principal: Principal, action: str, app_id: str, details: dict[str, Any] | None = None
    ) -> None:
        await self._audit.record(
            tx, principal, action, subject_kind="app", subject_id=app_id, app_id=app_id, details=details
        )

    def _open_version(self, stored: StoredVersion) -> AppVersion:
        secret = self._vault.unseal(stored.app_secret_sealed, _secret_identity(stored.app_key)).decode()
        return AppVersion(stored.app_id, stored.name, stored.app_key, secret, stored.supported)


def _secret_identity(app_key: str) -> str:
    return f"app_version:{app_key}:app_secret"


def _master_identity(app_id: str) -> str:
    return f"app:{app_id}:master_key:{MASTER_KEY_P256}"


def _encoded(roles: Iterable[str]) -> str:
    return msgspec.json.encode(list(roles)).decode()


def _credentials(version: AppVersion, public_keys: dict[int, bytes]) -> VersionCredentials:
    configuration = SdkConfiguration(
        app_key=base64.b64decode(version.app_key),
        app_secret=base64.b64decode(version.app_secret),
        public_keys=public_keys,
    )
    return VersionCredentials(version, build_sdk_configuration(configuration))
