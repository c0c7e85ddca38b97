"""What an app is made of."""

from __future__ import annotations

import msgspec

MASTER_KEY_P256 = 1
"""SDK configuration key id 01: the ECDSA P-256 master key (PowerAuth SDK Configuration)."""
FIRST_VERSION = "default"
"""The name of the version that an app has from the start."""


class App(msgspec.Struct, frozen=True):
    """A mobile application. `roles`: JSON list of names that mean something to the back end."""

    id: str
    roles: str
    created_at: int
    version: int


class AppVersion(msgspec.Struct, frozen=True):
    """A version of an app: `app_key` and `app_secret` are the Base64 text of 16 bytes each."""

    app_id: str
    name: str
    app_key: str
    app_secret: str
    supported: bool

    def __repr__(self) -> str:
        return f"AppVersion({self.app_id}, {self.name})"


class StoredVersion(msgspec.Struct, frozen=True):
    """A row of app_versions."""

    app_key: str
    app_id: str
    name: str
    app_secret_sealed: bytes
    supported: bool


class StoredMasterKey(msgspec.Struct, frozen=True):
    """A row of app_master_keys: public key as a 65-byte point, private key sealed."""

    app_id: str
    key_id: int
    public_key: bytes
    private_key_sealed: bytes


class MasterPublicKey(msgspec.Struct, frozen=True):
    """The public half of a master key, encoded as the SDK configuration has it."""

    key_id: int
    public_key: bytes


class VersionCredentials(msgspec.Struct, frozen=True):
    """A version and what its mobile app is built with."""

    version: AppVersion
    mobile_sdk_config: str

    def __repr__(self) -> str:
        return f"VersionCredentials({self.version!r})"


class AppCredentials(msgspec.Struct, frozen=True):
    """An app with all that its developers build into the mobile app. `versions`: at least one, oldest first."""

    app: App
    master_public_key: bytes
    versions: tuple[VersionCredentials, ...]

    @property
    def current(self) -> VersionCredentials:
        """The version that the app object shows: the oldest supported one; when none is supported, the oldest."""
        return next((one for one in self.versions if one.version.supported), self.versions[0])

    @property
    def mobile_sdk_config(self) -> str:
        """SDK configuration of the current version."""
        return self.current.mobile_sdk_config

    @property
    def version(self) -> AppVersion:
        """The current version."""
        return self.current.version
