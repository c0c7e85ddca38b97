"""Making apps and finding what belongs to them."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ringback.apps import queries
from ringback.apps.model import MASTER_KEY_P256, App, AppCredentials, AppVersion, StoredMasterKey, StoredVersion
from ringback.clock import Clock, Randomness
from ringback.errors import AppExists, AppNotFound
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

    async def create(self, tx: Tx, principal: Principal, app_id: str, roles: Sequence[str]) -> AppCredentials:
        """A new app with its first version and its P-256 master key. Raises AppExists."""
        if await tx.one(queries.app_by_id, app_id) is not None:
            raise AppExists
        now = self._clock.now_ms()
        app = App(app_id, msgspec.json.encode(list(roles)).decode(), now, 1)
        app_key, app_secret = (
            base64.b64encode(self._randomness.bytes(SDK_KEY_BYTES)).decode(),
            base64.b64encode(self._randomness.bytes(SDK_KEY_BYTES)).decode(),
        )
        private_key = generate_private_key()
        public_key = public_key_to_bytes(private_key.public_key())
        await tx.run(queries.insert_app, app.id, app.roles, now)
        sealed_secret = self._vault.seal(app_secret.encode(), _secret_identity(app_key))
        await tx.run(queries.insert_version, app_key, app_id, "default", sealed_secret, now)
        sealed_key = self._vault.seal(private_key_to_bytes(private_key), _master_identity(app_id))
        await tx.run(queries.insert_master_key, app_id, MASTER_KEY_P256, public_key, sealed_key)
        await self._audit.record(tx, principal, "app.create", subject_kind="app", subject_id=app_id, app_id=app_id)
        return _credentials(app, AppVersion(app_id, "default", app_key, app_secret, supported=True), public_key)

    async def credentials(self, tx: Tx, app_id: str) -> AppCredentials:
        """What a developer builds into the mobile app. Raises AppNotFound."""
        app = await tx.one(queries.app_by_id, app_id)
        stored = await tx.one(queries.first_version, app_id)
        key = await tx.one(queries.master_key, app_id, MASTER_KEY_P256)
        if app is None or stored is None or key is None:
            raise AppNotFound
        return _credentials(app, self._open_version(stored), key.public_key)

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

    def _open_version(self, stored: StoredVersion) -> AppVersion:
        secret = self._vault.unseal(stored.app_secret_sealed, _secret_identity(stored.app_key)).decode()
        return AppVersion(stored.app_id, stored.name, stored.app_key, secret, stored.supported)


def _secret_identity(app_key: str) -> str:
    return f"app_version:{app_key}:app_secret"


def _master_identity(app_id: str) -> str:
    return f"app:{app_id}:master_key:{MASTER_KEY_P256}"


def _credentials(app: App, version: AppVersion, public_key: bytes) -> AppCredentials:
    configuration = SdkConfiguration(
        app_key=base64.b64decode(version.app_key),
        app_secret=base64.b64decode(version.app_secret),
        public_keys={MASTER_KEY_P256: public_key},
    )
    return AppCredentials(app, version, public_key, build_sdk_configuration(configuration))
