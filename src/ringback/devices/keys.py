"""The keys of a registration: made once at the key exchange, sealed at rest, derived again when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from ringback.protocols.powerauth.derived_keys import ActivationKeys, derive_activation_keys
from ringback.protocols.powerauth.keys import (
    PrivateKey,
    PublicKey,
    generate_private_key,
    master_secret,
    private_key_from_bytes,
    private_key_to_bytes,
    public_key_to_bytes,
)
from ringback.protocols.powerauth.versions import P256

if TYPE_CHECKING:
    from ringback.clock import Randomness
    from ringback.devices.model import Registration
    from ringback.secrets import Vault

CACHE_ENTRIES = 10_000
SECRET_BYTES = 16
_Cache = OrderedDict[str, tuple[bytes, ActivationKeys]]
_STAND_IN = "stand-in:master_secret"


class KeyMaterial(msgspec.Struct, frozen=True):
    """What the key exchange leaves behind: public keys as 65-byte points, secrets sealed."""

    device_public_key: bytes
    server_public_key: bytes
    server_private_key_sealed: bytes
    master_secret_sealed: bytes


class RegistrationKeys:
    """Makes, seals and opens the keys of registrations.

    Derived keys are kept for the registrations used last. An entry is found by the id and the sealed secret that it was
    derived from, so it can never outlive the key material in the database.
    """

    def __init__(self, vault: Vault, *, randomness: Randomness, entries: int = CACHE_ENTRIES) -> None:
        self._vault = vault
        self._entries = entries
        self._derived: _Cache = OrderedDict()
        self._stand_ins: _Cache = OrderedDict()
        self._stand_in_sealed = vault.seal(randomness.bytes(SECRET_BYTES), _STAND_IN)

    def make(self, registration_id: str, device_public: PublicKey) -> KeyMaterial:
        """A new server key pair and the secret shared with the phone. Costs two EC operations: not inside a unit."""
        server = generate_private_key()
        return KeyMaterial(
            device_public_key=public_key_to_bytes(device_public),
            server_public_key=public_key_to_bytes(server.public_key()),
            server_private_key_sealed=self._vault.seal(private_key_to_bytes(server), _server_key(registration_id)),
            master_secret_sealed=self._vault.seal(master_secret(server, device_public), _secret(registration_id)),
        )

    def derived(self, registration: Registration) -> ActivationKeys | None:
        """The five keys shared with the phone; None before the key exchange, and in suites that have other keys."""
        sealed = registration.master_secret_sealed
        if sealed is None or registration.suite != P256.name:
            return None
        return self._cached(self._derived, registration.id, sealed, _secret(registration.id))

    def stand_in(self, registration_id: str) -> ActivationKeys:
        """Keys that nobody else knows, for an answer about a registration without keys.

        They are found as `derived` finds keys, with the same work the first time and later. Their cache is apart, so
        that ids which somebody made up push out no real phone's keys.
        """
        return self._cached(self._stand_ins, registration_id, self._stand_in_sealed, _STAND_IN)

    def _cached(self, cache: _Cache, registration_id: str, sealed: bytes, identity: str) -> ActivationKeys:
        cached = cache.get(registration_id)
        if cached is not None and cached[0] == sealed:
            cache.move_to_end(registration_id)
            return cached[1]
        keys = derive_activation_keys(self._vault.unseal(sealed, identity))
        cache[registration_id] = (sealed, keys)
        if len(cache) > self._entries:
            cache.popitem(last=False)
        return keys

    def server_private_key(self, registration: Registration) -> PrivateKey | None:
        """The server's P-256 key of this registration; None before the key exchange, and in other suites."""
        sealed = registration.server_private_key_sealed
        if sealed is None or registration.suite != P256.name:
            return None
        return private_key_from_bytes(self._vault.unseal(sealed, _server_key(registration.id)))


def _server_key(registration_id: str) -> str:
    return f"registration:{registration_id}:server_private_key"


def _secret(registration_id: str) -> str:
    return f"registration:{registration_id}:master_secret"
