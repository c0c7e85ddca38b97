"""Encrypted requests: which key opens them, whether they are fresh, and the temporary keys phones encrypt for.

Source: PowerAuth specification, "End-to-End Encryption", "Temporary Keys". EC operations happen between units: a unit
reads what is needed, the crypto runs, a unit writes.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.apps import AppVersion
from ringback.clock import new_id
from ringback.devices import queries
from ringback.devices.model import Registration
from ringback.devices.queries import StoredTemporaryKey
from ringback.errors import AppNotFound, EncryptionFailed, TemporaryKeyFailure
from ringback.protocols.powerauth.ecies import EciesEnvelope, EciesResponse, activation_base, application_base
from ringback.protocols.powerauth.ecies_server import EciesSession, open_request
from ringback.protocols.powerauth.errors import EnvelopeRefused, JwtRefused
from ringback.protocols.powerauth.keys import (
    PrivateKey,
    generate_private_key,
    private_key_from_bytes,
    private_key_to_bytes,
    public_key_to_bytes,
)
from ringback.protocols.powerauth.temporary_key import (
    TemporaryKeyRequestClaims,
    TemporaryKeyResponseClaims,
    activation_hmac_key,
)
from ringback.protocols.powerauth.temporary_key_server import (
    build_temporary_key_response,
    parse_temporary_key_request,
    verify_temporary_key_request,
)
from ringback.protocols.powerauth.versions import ProtocolVersion

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.keys import RegistrationKeys
    from ringback.devices.model import DeviceLimits
    from ringback.devices.needs import Apps
    from ringback.secrets import Vault
    from ringback.store import Store, Tx

MAY_GET_KEYS = frozenset({"ACTIVE", "BLOCKED"})
"""Statuses in which a phone gets temporary keys, and may send envelopes, in activation scope."""

REPLAY_MS_WITHOUT_TIMESTAMP = 2 * 60 * 60 * 1000
"""How long an envelope of a version without timestamps is remembered. Nothing in it ever grows too old, and values that
are kept for ever would fill the database; two hours is what the reference server keeps them. Whatever changes something
is protected beyond that: by its signature's counter, or by an activation code that works once."""


class EnvelopeKey(msgspec.Struct, frozen=True):
    """Everything that opens an envelope, read from the database.

    `registration` is None in application scope. `temporary_key`: of versions that have them; in the others the
    registration's server key opens the envelope, or in application scope `master_key`.
    """

    version: ProtocolVersion
    app: AppVersion
    registration: Registration | None
    temporary_key: StoredTemporaryKey | None = None
    master_key: PrivateKey | None = None


class OpenedRequest(msgspec.Struct, frozen=True):
    """A decrypted request. `replay_value` counts once; it is kept until `replay_until` (Unix ms)."""

    app_id: str
    plaintext: bytes
    session: EciesSession
    replay_value: bytes
    replay_until: int


class KeyOwner(msgspec.Struct, frozen=True):
    """Who signs the answer to a request for a temporary key, read from the database."""

    app: AppVersion
    registration: Registration | None
    master_key: PrivateKey | None


class Encryption:
    """Opens envelopes, seals answers, hands out temporary keys."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        vault: Vault,
        apps: Apps,
        keys: RegistrationKeys,
        limits: DeviceLimits,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._apps = apps
        self._keys = keys
        self._limits = limits

    # envelopes --------------------------------------------------------------------------------------------------------

    async def find_key(
        self,
        tx: Tx,
        version: ProtocolVersion,
        app_key: str,
        temporary_key_id: str | None,
        registration_id: str | None = None,
    ) -> EnvelopeKey:
        """Unit: reads what opens an envelope; `registration_id` in activation scope. Raises EncryptionFailed.

        A temporary key opens only envelopes of the app key and registration that it was made for.
        """
        app = await self._apps.version_by_key(tx, app_key)
        if app is None or not app.supported or (temporary_key_id is not None) is not version.temporary_keys:
            raise EncryptionFailed
        registration = None
        if registration_id is not None:
            registration = await tx.one(queries.registration_by_id, registration_id)
            if registration is None or registration.app_id != app.app_id or registration.status not in MAY_GET_KEYS:
                raise EncryptionFailed
        if temporary_key_id is not None:
            key = await self._temporary_key(tx, temporary_key_id, app_key, registration_id)
            return EnvelopeKey(version, app, registration, temporary_key=key)
        if registration is not None:
            return EnvelopeKey(version, app, registration)
        return EnvelopeKey(version, app, None, master_key=await self._apps.master_private_key(tx, app.app_id))

    async def _temporary_key(
        self, tx: Tx, key_id: str, app_key: str, registration_id: str | None
    ) -> StoredTemporaryKey:
        key = await tx.one(queries.temporary_key_by_id, _storable(key_id))
        if (
            key is None
            or key.expires_at <= self._clock.now_ms()
            or key.app_key != app_key
            or key.registration_id != registration_id
        ):
            raise EncryptionFailed
        return key

    def open(self, key: EnvelopeKey, envelope: EciesEnvelope, shared_info1: str) -> OpenedRequest:
        """Decrypts a request. Raises EncryptionFailed, also when its clock is too far off, either way."""
        base = application_base(key.app.app_secret)
        registration_id = None
        if key.registration is not None:
            derived = self._keys.derived(key.registration)
            if derived is None:
                raise EncryptionFailed
            registration_id = key.registration.id
            base = activation_base(derived.transport, key.app.app_secret)
        try:
            plaintext, session = open_request(
                envelope,
                version=key.version,
                private_key=self._private_key(key),
                shared_info1=shared_info1,
                base=base,
                application_key=key.app.app_key,
                activation_id=registration_id,
            )
        except EnvelopeRefused as error:
            raise EncryptionFailed(cause=error) from error
        return OpenedRequest(
            key.app.app_id, plaintext, session, _replay_value(session, registration_id), self._replay_until(session)
        )

    def _private_key(self, key: EnvelopeKey) -> PrivateKey:
        """The key that the phone encrypted for."""
        if key.temporary_key is not None:
            sealed = key.temporary_key.private_key_sealed
            return private_key_from_bytes(self._vault.unseal(sealed, _identity(key.temporary_key.id)))
        found = key.master_key if key.registration is None else self._keys.server_private_key(key.registration)
        if found is None:
            raise EncryptionFailed
        return found

    def _replay_until(self, session: EciesSession) -> int:
        """Until when the request has to be remembered. Raises EncryptionFailed for one out of its time."""
        now = self._clock.now_ms()
        if session.timestamp is None:
            return now + REPLAY_MS_WITHOUT_TIMESTAMP
        window = self._limits.request_window_seconds * 1000
        if abs(now - session.timestamp) > window:
            raise EncryptionFailed
        return session.timestamp + window + 1

    async def is_replay(self, tx: Tx, opened: OpenedRequest) -> bool:
        """Whether this request was here before."""
        return await tx.one(queries.replay_value, opened.replay_value) is not None

    async def remember(self, tx: Tx, opened: OpenedRequest) -> None:
        """From now on this request is a replay."""
        await tx.run(queries.remember_value, opened.replay_value, opened.replay_until)

    def seal(self, opened: OpenedRequest, answer: msgspec.Struct | dict[str, Any]) -> EciesResponse:
        """The encrypted answer to a decrypted request."""
        plaintext = msgspec.json.encode(answer)
        return opened.session.seal_response(plaintext, self._randomness.bytes, self._clock.now_ms())

    # temporary keys ---------------------------------------------------------------------------------------------------

    async def create_temporary_key(self, store: Store, jwt: str) -> str:
        """Answers a phone's request for a temporary key with the server's JWT. Raises TemporaryKeyFailure."""
        try:
            claims = parse_temporary_key_request(jwt)
            owner = await store.read(self._owner, claims)
            signer, hmac_key = self._signer(owner)
            claims = verify_temporary_key_request(jwt, hmac_key)
        except (JwtRefused, AppNotFound) as error:
            raise TemporaryKeyFailure(cause=error) from error
        private_key = generate_private_key()
        now = self._clock.now_ms()
        key = StoredTemporaryKey(
            id=(key_id := new_id(self._clock, self._randomness)),
            app_key=claims.application_key,
            registration_id=claims.activation_id,
            private_key_sealed=self._vault.seal(private_key_to_bytes(private_key), _identity(key_id)),
            expires_at=now + self._limits.temporary_key_validity_seconds * 1000,
        )
        answer = build_temporary_key_response(
            signer,
            TemporaryKeyResponseClaims(
                sub=key.id,
                application_key=claims.application_key,
                activation_id=claims.activation_id,
                challenge=claims.challenge,
                public_key=base64.b64encode(public_key_to_bytes(private_key.public_key())).decode("ascii"),
                iat=now // 1000,
                exp=key.expires_at // 1000,
                iat_ms=now,
                exp_ms=key.expires_at,
            ),
        )
        await store.write(_insert_temporary_key, key)
        return answer

    async def _owner(self, tx: Tx, claims: TemporaryKeyRequestClaims) -> KeyOwner:
        app = await self._apps.version_by_key(tx, claims.application_key)
        if app is None or not app.supported:
            raise TemporaryKeyFailure
        if claims.activation_id is None:
            return KeyOwner(app, None, await self._apps.master_private_key(tx, app.app_id))
        registration = await tx.one(queries.registration_by_id, _storable(claims.activation_id))
        if registration is None or registration.app_id != app.app_id or registration.status not in MAY_GET_KEYS:
            raise TemporaryKeyFailure
        return KeyOwner(app, registration, None)

    def _signer(self, owner: KeyOwner) -> tuple[PrivateKey, bytes]:
        """The key that signs the answer, and the key under which the request must be."""
        app_secret = base64.b64decode(owner.app.app_secret)
        if owner.registration is None:
            if owner.master_key is None:
                raise TemporaryKeyFailure
            return owner.master_key, app_secret
        derived = self._keys.derived(owner.registration)
        signer = self._keys.server_private_key(owner.registration)
        if derived is None or signer is None:
            raise TemporaryKeyFailure
        return signer, activation_hmac_key(derived.transport, app_secret)

    async def purge(self, tx: Tx, limit: int) -> int:
        """Unit: deletes up to `limit` temporary keys and as many replay values whose time is over; returns how many."""
        now = self._clock.now_ms()
        keys = await tx.all(queries.purge_temporary_keys, now, limit)
        values = await tx.all(queries.purge_replay_values, now, limit)
        return len(keys) + len(values)


async def _insert_temporary_key(tx: Tx, key: StoredTemporaryKey) -> None:
    await tx.run(
        queries.insert_temporary_key, key.id, key.app_key, key.registration_id, key.private_key_sealed, key.expires_at
    )


def _replay_value(session: EciesSession, registration_id: str | None) -> bytes:
    """What makes a request the same one: ephemeral key, nonce, and who sent it.

    Without a timestamp the nonce is left out, for there the MAC does not cover it: whoever replays could change it.
    """
    nonce = b"" if session.timestamp is None else session.nonce
    # 33 or 65 bytes, as the first one tells, then 16 or none: the parts cannot be shifted against each other.
    unique = b"ecies\0" + session.ephemeral_public_key + nonce + (registration_id or "").encode()
    return hashlib.sha256(unique).digest()


def _identity(key_id: str) -> str:
    return f"temporary_key:{key_id}:private_key"


def _storable(text: str) -> str:
    """An id that a phone made up may hold NUL, which no database takes as text; then it is nobody's id."""
    return text.replace("\0", "?")
