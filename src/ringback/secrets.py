"""Sealing and hashing of secrets, and the rotation of the instance key.

The **instance key** lives in a file beside the data (mode 0600) and never in the database nor in a backup. It seals two
**data keys**, which live in the database: `seal` encrypts secrets that must be read again (private keys, activation
secrets), `fingerprint` is the HMAC key of secrets that only need comparing. Rotating the instance key seals the same
data keys again, so that nothing else changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringback.clock import Randomness
from ringback.errors import SealBroken, StartRefused

KEY_BYTES = 32
NONCE_BYTES = 12
SEAL_PURPOSE = "seal"
FINGERPRINT_PURPOSE = "fingerprint"
PURPOSES = (SEAL_PURPOSE, FINGERPRINT_PURPOSE)


class SealedDataKey(msgspec.Struct, frozen=True):
    """A data key as the database keeps it."""

    purpose: str
    sealed_key: bytes
    instance_key_id: str


class InstanceKey(msgspec.Struct, frozen=True):
    """A key of the key file: `id` names it, so that a data key tells which one seals it."""

    id: str
    key: bytes


def seal_with(key: bytes, plaintext: bytes, identity: str, randomness: Randomness) -> bytes:
    """AES-256-GCM: nonce ‖ ciphertext ‖ tag, with `identity` as associated data."""
    nonce = randomness.bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, identity.encode())


def unseal_with(key: bytes, sealed: bytes, identity: str) -> bytes:
    """The opposite of `seal_with`; raises SealBroken when key, identity or bytes are not those of the sealing."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], identity.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken(cause=error) from error


class Vault:
    """Seals, unseals and fingerprints with the data keys of this installation."""

    def __init__(self, seal_key: bytes, fingerprint_key: bytes, randomness: Randomness) -> None:
        self._cipher = AESGCM(seal_key)
        self._fingerprint_key = fingerprint_key
        self._randomness = randomness

    def __repr__(self) -> str:
        return "Vault(keys not shown)"

    def seal(self, plaintext: bytes, identity: str) -> bytes:
        """Encrypts a secret. `identity` names the record and the field, so that a sealed value cannot be moved."""
        nonce = self._randomness.bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, identity.encode())

    def unseal(self, sealed: bytes, identity: str) -> bytes:
        """The opposite of `seal`; raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], identity.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(cause=error) from error

    def fingerprint(self, secret: bytes, purpose: str) -> bytes:
        """HMAC-SHA256 of a secret that we generated (128 bits or more), 32 bytes. Compare with hmac.compare_digest."""
        return hmac.digest(self._fingerprint_key, purpose.encode() + b"\0" + secret, "sha256")


class KeyFile:
    """The file that holds the instance keys: one line each, `id hexkey`, the newest first. Mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> list[InstanceKey]:
        """The keys, newest first; empty when there is no file. Raises StartRefused when it cannot be used."""
        try:
            text = self.path.read_text("ascii")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise StartRefused(f"The key file {self.path} cannot be read: {error}.", cause=error) from error
        if self.path.stat().st_mode & 0o077:
            raise StartRefused(f"The key file {self.path} can be read by others. Run: chmod 600 {self.path}")
        keys = []
        for line in text.splitlines():
            name, _, value = line.partition(" ")
            try:
                key = bytes.fromhex(value)
            except ValueError as error:
                raise StartRefused(f"The key file {self.path} is damaged. Put back your copy of it.") from error
            if not name or len(key) != KEY_BYTES:
                raise StartRefused(f"The key file {self.path} is damaged. Put back your copy of it.")
            keys.append(InstanceKey(name, key))
        return keys

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else on this machine changes the file meanwhile. Raises BlockingIOError when somebody does already."""
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(descriptor)

    def save(self, keys: list[InstanceKey]) -> None:
        """Replaces the file in one step; on disk when this returns."""
        temporary = self.path.with_name(self.path.name + ".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.writelines(f"{key.id} {key.key.hex()}\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def new_instance_key(randomness: Randomness) -> InstanceKey:
    """A fresh instance key."""
    return InstanceKey(randomness.bytes(4).hex(), randomness.bytes(KEY_BYTES))


def seal_data_keys(
    data_keys: dict[str, bytes], instance_key: InstanceKey, randomness: Randomness
) -> list[SealedDataKey]:
    """The data keys as the database keeps them, sealed by `instance_key`."""
    return [
        SealedDataKey(purpose, seal_with(instance_key.key, key, f"data_key:{purpose}", randomness), instance_key.id)
        for purpose, key in sorted(data_keys.items())
    ]


def open_data_keys(sealed: list[SealedDataKey], instance_keys: list[InstanceKey]) -> dict[str, bytes]:
    """The data keys in the clear; raises StartRefused when the key file is not the one of this database."""
    by_id = {key.id: key.key for key in instance_keys}
    opened = {}
    for data_key in sealed:
        if data_key.instance_key_id not in by_id:
            raise StartRefused(
                f"The database is sealed with instance key {data_key.instance_key_id}, which the key file does not"
                " have. Put back the key file that belongs to this database.",
            )
        identity = f"data_key:{data_key.purpose}"
        opened[data_key.purpose] = unseal_with(by_id[data_key.instance_key_id], data_key.sealed_key, identity)
    return opened
