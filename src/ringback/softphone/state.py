"""What a phone remembers, and the file it is kept in.

The knowledge key is kept as the real SDK keeps it: one AES block under a key made from the PIN with PBKDF2-HMAC-SHA1,
10,000 iterations (PowerAuth Mobile SDK, "Data stored on the device"). Nothing in the file tells whether a PIN is right:
a wrong one opens to a wrong key, and only the server notices, by counting a wrong signature.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from ringback.protocols.powerauth.primitives import ZERO_IV, aes_cbc_decrypt_raw, aes_cbc_encrypt_raw
from ringback.protocols.powerauth.versions import LATEST
from ringback.softphone.errors import NotActivated, StateUnusable
from ringback.softphone.sip_account import SipAccount

T = TypeVar("T")

DEFAULT_VERSION = LATEST.text
"""The protocol version that a phone speaks unless it is told otherwise."""
PIN_ITERATIONS = 10_000
KEY_SIZE = 16
"""Bytes of every symmetric key, of the hash-based counter, and of a MAC token's secret."""


class PhoneState(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One activated phone. Bytes are Base64 in the file.

    `counter` counts the signatures made (the server's own count is its low byte in the status blob); `counter_data` is
    the hash-based counter that the **next** signature uses. `device_private_key_sealed` is under the vault key, which
    the phone does not have: it must ask the server for it (PowerAuth specification, Secure Vault).
    """

    format_version: int = 1
    server_url: str
    sdk_config: str
    activation_id: str
    activation_name: str
    protocol_version: str = DEFAULT_VERSION
    device_public_key: bytes
    device_private_key_sealed: bytes
    server_public_key: bytes
    transport_key: bytes
    possession_key: bytes
    knowledge_key_sealed: bytes
    pin_salt: bytes
    biometry_key: bytes | None = None
    counter: int = 0
    counter_data: bytes
    mac_token_id: str | None = None
    mac_token_secret: bytes | None = None
    push_token: str | None = None
    last_push_id: str | None = None
    sip_account: SipAccount | None = None

    def knowledge_key(self, pin: str) -> bytes:
        """The knowledge key that this PIN opens: the right one only for the right PIN, and nothing here can tell."""
        return aes_cbc_decrypt_raw(_pin_key(pin, self.pin_salt), ZERO_IV, self.knowledge_key_sealed)


def seal_knowledge_key(knowledge_key: bytes, pin: str, salt: bytes) -> bytes:
    """The knowledge key (16 bytes) under the PIN; 16 bytes."""
    return aes_cbc_encrypt_raw(_pin_key(pin, salt), ZERO_IV, knowledge_key)


def seal_device_private_key(private_key: bytes, vault_key: bytes) -> bytes:
    """The device's private scalar (32 bytes) under the vault key; 32 bytes."""
    return aes_cbc_encrypt_raw(vault_key, ZERO_IV, private_key)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # else a power cut may bring the old counter back
    finally:
        os.close(descriptor)


def _pin_key(pin: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha1", pin.encode(), salt, PIN_ITERATIONS, KEY_SIZE)


class StateKeeper(Protocol):
    """Where a phone's state lives. `save` returns when it is safe: a signature is sent only after that."""

    def load(self) -> PhoneState:
        """The phone. Raises NotActivated when there is none."""
        ...

    def save(self, state: PhoneState) -> None:
        """Replaces the phone."""
        ...

    def update(self, change: Callable[[PhoneState], tuple[PhoneState, T]]) -> T:
        """Loads, changes and saves with nobody in between, so that two commands cannot sign with one counter."""
        ...

    def forget(self) -> None:
        """Drops the phone."""
        ...


class MemoryState:
    """A phone that lives as long as the process: for loads and for tests."""

    def __init__(self, state: PhoneState | None = None) -> None:
        self.state = state

    def load(self) -> PhoneState:
        """The phone. Raises NotActivated when there is none."""
        if self.state is None:
            raise NotActivated
        return self.state

    def save(self, state: PhoneState) -> None:
        """Replaces the phone."""
        self.state = state

    def update(self, change: Callable[[PhoneState], tuple[PhoneState, T]]) -> T:
        """Loads, changes and saves."""
        self.state, result = change(self.load())
        return result

    def forget(self) -> None:
        """Drops the phone."""
        self.state = None


class StateFile:
    """The file of one phone: JSON, mode 0600, replaced in one step so that a crash leaves the old or the new one."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def load(self) -> PhoneState:
        """The phone in the file. Raises NotActivated when there is none, StateUnusable when it cannot be read."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=PhoneState)
        except FileNotFoundError as error:
            raise NotActivated(cause=error) from error
        except (OSError, msgspec.DecodeError) as error:
            raise StateUnusable(f"The phone's file {self.path} cannot be read: {error}", cause=error) from error

    def prepare(self) -> None:
        """For before something that cannot be done twice. Raises StateUnusable when no phone could be stored here."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path.parent):
                pass
        except OSError as error:
            raise self._unwritable(error) from error

    def save(self, state: PhoneState) -> None:
        """Stores the phone so that it is on the disk when this returns. Raises StateUnusable when it cannot."""
        encoded = msgspec.json.format(msgspec.json.encode(state), indent=2)
        temporary = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            with os.fdopen(descriptor, "wb") as file:  # mkstemp makes the file with mode 0600
                file.write(encoded)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
            _flush_folder(self.path.parent)
        except OSError as error:
            if temporary:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
            raise self._unwritable(error) from error

    def update(self, change: Callable[[PhoneState], tuple[PhoneState, T]]) -> T:
        """Loads, changes and saves under a lock that other processes respect as well."""
        with self._lock():
            state, result = change(self.load())
            self.save(state)
        return result

    def forget(self) -> None:
        """Removes the file, after the registration was removed on the server."""
        self.path.unlink(missing_ok=True)
        self._lock_path.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> StateUnusable:
        return StateUnusable(f"The phone's file {self.path} cannot be written: {error}", cause=error)

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(f".{self.path.name}.lock")

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        if not self.path.exists():
            raise NotActivated
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateUnusable(f"The phone's file {self.path} cannot be locked: {error}", cause=error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for milliseconds only
            yield
        finally:
            os.close(descriptor)
