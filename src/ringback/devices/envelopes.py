"""Opening the envelopes of phones in activation scope, whatever else proves the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from ringback.devices.model import Registration, SignatureCheck
from ringback.errors import EncryptionFailed, MobileError, SignatureInvalid
from ringback.protocols.powerauth.ecies import EciesEnvelope
from ringback.protocols.powerauth.headers import EncryptionHeader

if TYPE_CHECKING:
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.signatures import Signatures
    from ringback.protocols.powerauth.headers import SignatureHeader
    from ringback.store import Store, Tx

T = TypeVar("T", bound=msgspec.Struct)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


async def open_encrypted(
    store: Store, encryption: Encryption, header: EncryptionHeader, body: bytes, shared_info1: str
) -> OpenedRequest:
    """A request with an encryption header. Raises EncryptionFailed, also for a header of application scope."""
    if header.activation_id is None:
        raise EncryptionFailed
    envelope = _envelope(body)
    named = (header.version, header.application_key, envelope.temporary_key_id, header.activation_id)
    return encryption.open(await store.read(encryption.find_key, *named), envelope, shared_info1)


async def open_signed(
    store: Store, encryption: Encryption, header: SignatureHeader, body: bytes, shared_info1: str
) -> OpenedRequest | None:
    """A request with a signature header, which takes the place of the encryption header.

    None when it does not open: the signature is checked and counted all the same.
    """
    named = EncryptionHeader(header.version, header.application_key, header.activation_id)
    try:
        return await open_encrypted(store, encryption, named, body, shared_info1)
    except EncryptionFailed:
        return None


class ProvenRequest(msgspec.Struct, frozen=True):
    """A request that a phone encrypted and signed, seen for the first time."""

    registration: Registration
    signature_type: str
    plaintext: bytes


async def prove_signed(
    tx: Tx,
    encryption: Encryption,
    signatures: Signatures,
    check: SignatureCheck,
    opened: OpenedRequest | None,
    *,
    allowed_types: frozenset[str],
    refused: type[MobileError] = SignatureInvalid,
) -> ProvenRequest | type[MobileError]:
    """In a unit: checks the signature and spends the envelope, or returns the refusal, whose marks must stay.

    `refused`: what a wrong signature is called here. An envelope that does not open or was here before is
    EncryptionFailed, but only to whoever signed rightly. Raises SignatureTypeInvalid.
    """
    # Read before anything is written, so that PostgreSQL gets all of it in one statement.
    fresh = opened is not None and not await encryption.is_replay(tx, opened)
    outcome = await signatures.check(tx, check, allowed_types=allowed_types, only_apps=None)
    if not outcome.valid or outcome.registration is None:
        return refused
    if opened is None or not fresh:
        return EncryptionFailed
    await encryption.remember(tx, opened)
    return ProvenRequest(outcome.registration, outcome.signature_type, opened.plaintext)


def decode_opened(plaintext: bytes, shape: type[T]) -> T | None:
    """What was in the envelope, or None when it is not `shape`."""
    try:
        return msgspec.json.decode(plaintext, type=shape)
    except _UNREADABLE:
        return None


def _envelope(body: bytes) -> EciesEnvelope:
    try:
        return msgspec.json.decode(body, type=EciesEnvelope)
    except _UNREADABLE as error:
        raise EncryptionFailed(cause=error) from error
