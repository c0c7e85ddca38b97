"""What an activated phone says, without I/O: signatures, status, MAC tokens, operations.

Source: PowerAuth specification, "Computing and Validating Signatures", "Activation Status", "MAC Token Based
Authentication", and the Mobile Token API. Functions that sign return the state **after** the signature: it must be
saved before the request is sent, so that no counter is ever used twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64
from ringback.protocols.powerauth.ecies import SH1_TOKEN_CREATE, EciesResponse
from ringback.protocols.powerauth.ecies_client import EciesClientSession
from ringback.protocols.powerauth.errors import PowerAuthProtocolError, StatusBlobRefused
from ringback.protocols.powerauth.headers import (
    SIGNATURE_HEADER,
    TOKEN_HEADER,
    SignatureHeader,
    TokenHeader,
    build_signature_header,
    build_token_header,
)
from ringback.protocols.powerauth.primitives import next_counter
from ringback.protocols.powerauth.signature import compute_components, format_signature, normalized_data
from ringback.protocols.powerauth.status_blob import StatusBlob, counter_hash, parse_status_blob
from ringback.protocols.powerauth.temporary_key_client import TemporaryKey
from ringback.protocols.powerauth.token import token_digest
from ringback.protocols.powerauth.versions import protocol_version
from ringback.softphone.configuration import read_configuration
from ringback.softphone.encrypted import finish_encrypted, seal_for_activation
from ringback.softphone.errors import BiometryOff, ServerNotGenuine
from ringback.softphone.state import KEY_SIZE, PhoneState
from ringback.softphone.wire import NewMacToken, PhoneRequest, Plain, StatusAnswer, plain_body

Random = Callable[[int], bytes]

STATUS_NAMES = {1: "CREATED", 2: "PENDING_COMMIT", 3: "ACTIVE", 4: "BLOCKED", 5: "REMOVED"}

ASK_FOR_SIGNATURE_FROM = 11
"""From this many signatures ahead of the server on, the phone should send one soon (PowerAuth Mobile SDK)."""


class Unlock(msgspec.Struct, frozen=True):
    """Which factors a signature is made with, beside possession."""

    pin: str | None = None
    biometry: bool = False

    @property
    def signature_type(self) -> str:
        """The factors as the header names them, such as `possession_knowledge`."""
        return "possession" + "_knowledge" * (self.pin is not None) + "_biometry" * self.biometry

    def __repr__(self) -> str:
        """Shows no PIN."""
        return f"Unlock({self.signature_type})"


POSSESSION = Unlock()


def sign(
    state: PhoneState, unlock: Unlock, *, method: str, uri_id: str, body: bytes, random: Random
) -> tuple[PhoneState, str]:
    """The state with the next counter, and the X-PowerAuth-Authorization header.

    body: the request's bytes; for GET the result of `signature.canonical_query`. Raises BiometryOff.
    """
    configuration = read_configuration(state.sdk_config)
    version = protocol_version(state.protocol_version)
    nonce = random(16)
    data = normalized_data(method, uri_id, nonce, body, configuration.app_secret)
    components = compute_components(factor_keys_of(state, unlock), state.counter_data, data)
    header = SignatureHeader(
        version=version,
        activation_id=state.activation_id,
        application_key=configuration.app_key,
        nonce=nonce,
        signature_type=unlock.signature_type,
        signature=format_signature(components, version),
    )
    advanced = msgspec.structs.replace(state, counter=state.counter + 1, counter_data=next_counter(state.counter_data))
    return advanced, build_signature_header(header)


def signed_request(
    state: PhoneState, unlock: Unlock, path: str, uri_id: str, body: bytes, random: Random
) -> tuple[PhoneState, PhoneRequest]:
    """A POST with a signature over its body."""
    advanced, header = sign(state, unlock, method="POST", uri_id=uri_id, body=body, random=random)
    return advanced, PhoneRequest(path, body, {SIGNATURE_HEADER: header}, "signature")


def factor_keys_of(state: PhoneState, unlock: Unlock) -> tuple[bytes, ...]:
    """The keys of the factors, in the order in which they are chained. Raises BiometryOff."""
    keys = [state.possession_key]
    if unlock.pin is not None:
        keys.append(state.knowledge_key(unlock.pin))
    if unlock.biometry:
        if state.biometry_key is None:
            raise BiometryOff
        keys.append(state.biometry_key)
    return tuple(keys)


CounterStanding = Literal["in step", "caught up", "phone ahead", "lost", "unknown"]


class PhoneStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What the server says about this phone.

    `status` is UNKNOWN when the answer cannot be opened: the server does not know the phone (any more).
    `counters`: `caught up` when the server was ahead and the phone moved its counter; `phone ahead` by `counter_gap`
    signatures, which the next good one heals; `lost` when nothing but a new activation helps.
    """

    activation_id: str
    activation_name: str
    status: str
    failed_attempts: int
    max_failed_attempts: int
    counters: CounterStanding
    counter_gap: int = 0

    @property
    def remaining_attempts(self) -> int:
        """Wrong signatures left before the phone is blocked."""
        return max(self.max_failed_attempts - self.failed_attempts, 0)

    @property
    def should_sign_soon(self) -> bool:
        """Whether the phone should prove itself once (`Phone.validate`), before the counters are too far apart."""
        return self.counters == "phone ahead" and self.counter_gap >= ASK_FOR_SIGNATURE_FROM


def begin_status(state: PhoneState, random: Random) -> tuple[PhoneRequest, bytes]:
    """The request of activation/status, and the challenge that its answer must fit."""
    challenge = random(16)
    body = plain_body({"activationId": state.activation_id, "challenge": encode_base64(challenge)})
    return PhoneRequest("/pa/v3/activation/status", body), challenge


def finish_status(state: PhoneState, challenge: bytes, answer: Plain[StatusAnswer]) -> tuple[PhoneState, PhoneStatus]:
    """The state, with the counter moved when the server was ahead, and the status in words.

    Raises ServerNotGenuine for an answer that is not even shaped like one.
    """
    try:
        nonce = decode_base64(answer.response_object.nonce, limit=16)
        encrypted = decode_base64(answer.response_object.encrypted_status_blob, limit=32)
        blob = parse_status_blob(state.transport_key, challenge, nonce, encrypted)
    except StatusBlobRefused:
        return state, PhoneStatus(state.activation_id, state.activation_name, "UNKNOWN", 0, 0, "unknown")
    except PowerAuthProtocolError as error:
        raise ServerNotGenuine(cause=error) from error
    state, standing, gap = _compare_counters(state, blob)
    status = PhoneStatus(
        activation_id=state.activation_id,
        activation_name=state.activation_name,
        status=STATUS_NAMES.get(blob.status, "UNKNOWN"),
        failed_attempts=blob.failed_attempts,
        max_failed_attempts=blob.max_failed_attempts,
        counters=standing,
        counter_gap=gap,
    )
    return state, status


def _compare_counters(state: PhoneState, blob: StatusBlob) -> tuple[PhoneState, CounterStanding, int]:
    """The hash tells whether the server is ahead (a hash chain can only be followed forward); the byte, how far behind.

    Source: PowerAuth specification, "Counter Synchronization".
    """
    data = state.counter_data
    for ahead in range(blob.look_ahead + 1):
        if counter_hash(state.transport_key, data) == blob.counter_hash:
            if ahead == 0:
                return state, "in step", 0
            moved = msgspec.structs.replace(state, counter=state.counter + ahead, counter_data=data)
            return moved, "caught up", ahead
        data = next_counter(data)
    gap = (state.counter - blob.counter_byte) & 0xFF
    if 0 < gap < blob.look_ahead:
        return state, "phone ahead", gap
    return state, "lost", 0


def begin_encrypted_signed(
    state: PhoneState,
    unlock: Unlock,
    path: str,
    uri_id: str,
    shared_info1: str,
    content: object,
    *,
    temporary_key: TemporaryKey | None,
    random: Random,
    now_ms: int,
    sign_content: bool = False,
) -> tuple[PhoneState, tuple[PhoneRequest, EciesClientSession]]:
    """A POST that is encrypted in activation scope, then signed over the encrypted body.

    It has no encryption header: the signature header names version, app and activation already. `now_ms` is the
    server's time; temporary_key: None in versions that have none. The answer is for `encrypted.finish_encrypted`.
    `sign_content`: the content is signed, then encrypted, as the SDK does it at the endpoints of applications.
    """
    envelope, session = seal_for_activation(
        state, shared_info1, content, temporary_key=temporary_key, random=random, now_ms=now_ms
    )
    body = msgspec.json.encode(envelope)
    signed = msgspec.json.encode(content) if sign_content else body
    advanced, header = sign(state, unlock, method="POST", uri_id=uri_id, body=signed, random=random)
    return advanced, (PhoneRequest(path, body, {SIGNATURE_HEADER: header}, "signature"), session)


def begin_mac_token(
    state: PhoneState, unlock: Unlock, temporary_key: TemporaryKey | None, random: Random, now_ms: int
) -> tuple[PhoneState, tuple[PhoneRequest, EciesClientSession]]:
    """The request of token/create; see `begin_encrypted_signed`."""
    return begin_encrypted_signed(
        state,
        unlock,
        "/pa/v3/token/create",
        "/pa/token/create",
        SH1_TOKEN_CREATE,
        {},
        temporary_key=temporary_key,
        random=random,
        now_ms=now_ms,
    )


def finish_mac_token(state: PhoneState, session: EciesClientSession, answer: EciesResponse) -> PhoneState:
    """The state with the new MAC token. Raises ServerNotGenuine."""
    created = finish_encrypted(session, answer, NewMacToken)
    try:
        secret = decode_base64(created.token_secret, limit=KEY_SIZE)
    except PowerAuthProtocolError as error:
        raise ServerNotGenuine(cause=error) from error
    if len(secret) != KEY_SIZE:
        raise ServerNotGenuine
    return msgspec.structs.replace(state, mac_token_id=created.token_id, mac_token_secret=secret)


def mac_token_header(state: PhoneState, random: Random, now_ms: int) -> dict[str, str]:
    """X-PowerAuth-Token. The state must have a MAC token; `now_ms` is the server's time."""
    if state.mac_token_id is None or state.mac_token_secret is None:
        raise ValueError("the phone has no MAC token yet")
    version = protocol_version(state.protocol_version)
    nonce, timestamp = random(16), str(now_ms)
    digest = token_digest(state.mac_token_secret, nonce, timestamp, version)
    return {TOKEN_HEADER: build_token_header(TokenHeader(version, state.mac_token_id, digest, nonce, timestamp))}


def token_request(
    state: PhoneState, path: str, content: object, random: Random, now_ms: int, language: str = "en"
) -> PhoneRequest:
    """A POST that the MAC token proves."""
    headers = {**mac_token_header(state, random, now_ms), "Accept-Language": language}
    return PhoneRequest(path, plain_body(content), headers, "mac token")
