"""The key exchange: a phone with an activation code becomes a registration with keys.

Source: PowerAuth specification, "Activation", "Activation via Activation Code".
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ringback.devices import queries
from ringback.devices.model import Registration, StatusEvent, next_status
from ringback.devices.schema import (
    ActivationLayer1Request,
    ActivationLayer1Response,
    ActivationLayer2Request,
    ActivationLayer2Response,
)
from ringback.errors import ActivationInvalid, EncryptionFailed, MobileError
from ringback.principal import device
from ringback.protocols.powerauth.activation_code import is_activation_code
from ringback.protocols.powerauth.base64_text import decode_base64
from ringback.protocols.powerauth.ecies import SH1_ACTIVATION_LAYER_2, SH1_APPLICATION, EciesEnvelope, EciesResponse
from ringback.protocols.powerauth.errors import InvalidPublicKey, MalformedBase64
from ringback.protocols.powerauth.keys import PublicKey, public_key_from_bytes

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.attempts import AttemptLimiter
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.keys import KeyMaterial, RegistrationKeys
    from ringback.devices.lifecycle import Lifecycle
    from ringback.protocols.powerauth.headers import EncryptionHeader
    from ringback.store import Store, Tx

T = TypeVar("T", bound=msgspec.Struct)
COUNTER_BYTES = 16


class KeyExchange(msgspec.Struct, frozen=True):
    """All that the writing unit needs; computed before it."""

    registration_id: str
    protocol_version: str
    request: ActivationLayer2Request
    material: KeyMaterial
    ctr_data: bytes
    opened: OpenedRequest


class Activation:
    """Runs key exchanges."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        keys: RegistrationKeys,
        encryption: Encryption,
        lifecycle: Lifecycle,
        attempts: AttemptLimiter,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._keys = keys
        self._encryption = encryption
        self._lifecycle = lifecycle
        self._attempts = attempts

    async def create(self, store: Store, header: EncryptionHeader, body: bytes, address: str) -> EciesResponse:
        """See DevicesService.create_activation."""
        if self._attempts.is_exhausted(address):
            raise ActivationInvalid
        try:
            return await self._create(store, header, body)
        except ActivationInvalid:
            self._attempts.count_failure(address)
            raise

    async def _create(self, store: Store, header: EncryptionHeader, body: bytes) -> EciesResponse:
        outer = await self._open(store, header, _decode(body, EciesEnvelope, EncryptionFailed), SH1_APPLICATION)
        layer1 = _decode(outer.plaintext, ActivationLayer1Request, ActivationInvalid)
        inner = await self._open(store, header, layer1.activation_data, SH1_ACTIVATION_LAYER_2)
        layer2 = _decode(inner.plaintext, ActivationLayer2Request, ActivationInvalid)
        code = layer1.identity_attributes.get("code", "")
        if layer1.type != "CODE" or not is_activation_code(code):
            raise ActivationInvalid
        registration = await store.read(_by_code, outer.app_id, code)
        if registration is None:
            raise ActivationInvalid
        device_public = _device_public_key(layer2.device_public_key)
        if device_public is None:
            await store.write(self._refuse_device_key, registration.id)
            raise ActivationInvalid
        exchange = KeyExchange(
            registration_id=registration.id,
            protocol_version=header.version.text,
            request=layer2,
            material=self._keys.make(registration.id, device_public),
            ctr_data=self._randomness.bytes(COUNTER_BYTES),
            opened=outer,
        )
        refusal = await store.write(self._finish, exchange)
        if refusal is not None:
            raise refusal
        answer = ActivationLayer2Response(
            activation_id=exchange.registration_id,
            server_public_key=base64.b64encode(exchange.material.server_public_key).decode("ascii"),
            ctr_data=base64.b64encode(exchange.ctr_data).decode("ascii"),
        )
        return self._encryption.seal(outer, ActivationLayer1Response(self._encryption.seal(inner, answer)))

    async def _open(
        self, store: Store, header: EncryptionHeader, envelope: EciesEnvelope, shared_info1: str
    ) -> OpenedRequest:
        key_id = envelope.temporary_key_id
        key = await store.read(self._encryption.find_key, header.version, header.application_key, key_id)
        return self._encryption.open(key, envelope, shared_info1)

    async def _finish(self, tx: Tx, exchange: KeyExchange) -> type[MobileError] | None:
        """Unit: stores the keys, if nobody was faster. Returns the refusal; expiry leaves its mark."""
        if await self._encryption.is_replay(tx, exchange.opened):
            return EncryptionFailed
        registration = await self._waiting(tx, exchange.registration_id)
        if registration is None:
            return ActivationInvalid
        await self._encryption.remember(tx, exchange.opened)
        await self._save_keys(tx, registration, exchange)
        return None

    async def _waiting(self, tx: Tx, registration_id: str) -> Registration | None:
        """The registration, if it still waits for its phone."""
        registration = await tx.one(queries.registration_by_id, registration_id)
        if registration is None or registration.status != "CREATED":
            return None
        if registration.is_expired(self._clock.now_ms()):
            await self._lifecycle.expire(tx, registration)
            return None
        return registration

    async def _save_keys(self, tx: Tx, registration: Registration, exchange: KeyExchange) -> None:
        commits = registration.commit_phase == "ON_KEY_EXCHANGE"
        event: StatusEvent = "key_exchange_commits" if commits else "key_exchange"
        status = next_status(registration.status, event)
        request, material = exchange.request, exchange.material
        await tx.run(
            queries.save_keys,
            registration.id,
            registration.version,
            status,
            exchange.protocol_version,
            request.activation_name,
            request.platform,
            request.device_info,
            request.extras,
            request.external_id,
            material.device_public_key,
            material.server_public_key,
            material.server_private_key_sealed,
            material.master_secret_sealed,
            exchange.ctr_data,
            self._clock.now_ms(),
        )
        await self._lifecycle.tell(tx, registration, event, status, device(registration.id))

    async def _refuse_device_key(self, tx: Tx, registration_id: str) -> None:
        """Unit: a code that came with a malformed device key is used up."""
        registration = await self._waiting(tx, registration_id)
        if registration is not None:
            await self._lifecycle.change(tx, registration, "device_key_refused", device(registration.id))


async def _by_code(tx: Tx, app_id: str, code: str) -> Registration | None:
    """Unit: the registration that waits for this code."""
    registration = await tx.one(queries.registration_by_code, app_id, code)
    return registration if registration is not None and registration.status == "CREATED" else None


def _decode(body: bytes, shape: type[T], refusal: type[MobileError]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal(cause=error) from error


def _device_public_key(text: str) -> PublicKey | None:
    try:
        return public_key_from_bytes(decode_base64(text, limit=65))
    except (MalformedBase64, InvalidPublicKey):
        return None
