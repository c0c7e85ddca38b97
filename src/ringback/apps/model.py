"""What an app is made of."""

from __future__ import annotations

import msgspec

MASTER_KEY_P256 = 1
"""SDK configuration key id 01: the ECDSA P-256 master key (PowerAuth SDK Configuration)."""


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


class AppCredentials(msgspec.Struct, frozen=True):
    """All that a developer builds into the mobile app."""

    app: App
    version: AppVersion
    master_public_key: bytes
    mobile_sdk_config: str
