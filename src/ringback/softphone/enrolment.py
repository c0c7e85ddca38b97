"""Temporary keys and activation as the phone does them, without I/O.

Source: PowerAuth specification, "Temporary Keys" and "Activation". Every exchange is a pair: `begin_…` gives the
request and what has to be remembered, `finish_…` takes the answer.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64
from ringback.protocols.powerauth.derived_keys import derive_activation_keys
from ringback.protocols.powerauth.ecies import (
    SH1_ACTIVATION_LAYER_2,
    SH1_APPLICATION,
    EciesResponse,
)
from ringback.protocols.powerauth.ecies_client import EciesClientSession
from ringback.protocols.powerauth.errors import PowerAuthProtocolError
from ringback.protocols.powerauth.fingerprint import activation_fingerprint
from ringback.protocols.powerauth.keys import (
    PrivateKey,
    generate_private_key,
    master_secret,
    private_key_to_bytes,
    public_key_from_bytes,
    public_key_to_bytes,
)
from ringback.protocols.powerauth.temporary_key import activation_hmac_key
from ringback.protocols.powerauth.temporary_key_client import (
    TemporaryKey,
    build_temporary_key_request,
    verify_temporary_key_response,
)
from ringback.protocols.powerauth.versions import protocol_version
from ringback.softphone.configuration import AppConfiguration, read_configuration
from ringback.softphone.encrypted import begin_encrypted_for_app, seal_for_app
from ringback.softphone.errors import ServerNotGenuine
from ringback.softphone.state import DEFAULT_VERSION, KEY_SIZE, PhoneState, seal_device_private_key, seal_knowledge_key
from ringback.softphone.wire import ActivationLayer1, ActivationLayer2, EncodedJwt, PhoneRequest, Plain, plain_body

Random = Callable[[int], bytes]


class PendingTemporaryKey(msgspec.Struct, frozen=True):
    """A temporary key that was asked for."""

    configuration: AppConfiguration
    challenge: str
    state: PhoneState | None


def begin_temporary_key(
    configuration: AppConfiguration, state: PhoneState | None, random: Random
) -> tuple[PhoneRequest, PendingTemporaryKey]:
    """Asks for a key of application scope (`state` is None) or of this activation."""
    if state is None:
        hmac_key, activation_id = configuration.app_secret_bytes, None
    else:
        hmac_key = activation_hmac_key(state.transport_key, configuration.app_secret_bytes)
        activation_id = state.activation_id
    jwt, challenge = build_temporary_key_request(
        application_key=configuration.app_key, hmac_key=hmac_key, random=random, activation_id=activation_id
    )
    request = PhoneRequest("/pa/v3/keystore/create", plain_body({"jwt": jwt}))
    return request, PendingTemporaryKey(configuration, challenge, state)


def finish_temporary_key(pending: PendingTemporaryKey, answer: Plain[EncodedJwt]) -> TemporaryKey:
    """The key, after its ES256 signature by the master key or the activation's server key was checked.

    Raises ServerNotGenuine.
    """
    state = pending.state
    try:
        signer = (
            pending.configuration.master_public if state is None else public_key_from_bytes(state.server_public_key)
        )
        return verify_temporary_key_response(
            answer.response_object.jwt,
            signer,
            application_key=pending.configuration.app_key,
            challenge=pending.challenge,
            activation_id=None if state is None else state.activation_id,
        )
    except PowerAuthProtocolError as error:
        raise ServerNotGenuine(cause=error) from error


class PendingActivation(msgspec.Struct, frozen=True):
    """An activation whose answer is awaited."""

    server_url: str
    sdk_config: str
    name: str
    private_key: PrivateKey
    outer: EciesClientSession
    inner: EciesClientSession


def begin_activation(
    *,
    server_url: str,
    sdk_config: str,
    temporary_key: TemporaryKey | None,
    code: str = "",
    name: str,
    platform: str,
    device_info: str,
    random: Random,
    now_ms: int,
    version: str = DEFAULT_VERSION,
    kind: str = "CODE",
    identity: dict[str, str] | None = None,
    otp: str | None = None,
    custom_attributes: dict[str, object] | None = None,
) -> tuple[PhoneRequest, PendingActivation]:
    """The request of activation/create: layer 2 with the device's public key, sealed inside layer 1 with the identity.

    `now_ms` is the server's time. temporary_key: None in versions that have none. kind, identity: other ways to say who
    activates than by `code`; custom_attributes: what the app tells its back end beside it. Source: PowerAuth
    specification, "Activation via Activation Code", key exchange.
    """
    configuration = read_configuration(sdk_config)
    spoken = protocol_version(version)
    private_key = generate_private_key()
    device_public = public_key_to_bytes(private_key.public_key(), compressed=True)
    layer2 = {
        "devicePublicKey": encode_base64(device_public),
        "activationName": name,
        "platform": platform,
        "deviceInfo": device_info,
    }
    if otp is not None:
        layer2["activationOtp"] = otp
    inner_envelope, inner = seal_for_app(
        configuration,
        spoken,
        SH1_ACTIVATION_LAYER_2,
        layer2,
        temporary_key=temporary_key,
        random=random,
        now_ms=now_ms,
    )
    attributes = {"code": code} if identity is None else identity
    layer1 = {"type": kind, "identityAttributes": attributes, "activationData": inner_envelope}
    if custom_attributes is not None:
        layer1["customAttributes"] = custom_attributes
    request, outer = begin_encrypted_for_app(
        configuration,
        spoken,
        "/pa/v3/activation/create",
        SH1_APPLICATION,
        layer1,
        temporary_key=temporary_key,
        random=random,
        now_ms=now_ms,
    )
    return request, PendingActivation(server_url, sdk_config, name, private_key, outer, inner)


def finish_activation(
    pending: PendingActivation, answer: EciesResponse, *, pin: str, biometry: bool, random: Random
) -> PhoneState:
    """The activated phone: opens both layers, agrees on KEY_MASTER_SECRET, derives and puts away the keys.

    Raises ServerNotGenuine.
    """
    try:
        layer1 = msgspec.json.decode(pending.outer.open_response(answer), type=ActivationLayer1)
        envelope = msgspec.convert(layer1.activation_data, EciesResponse)
        layer2 = msgspec.json.decode(pending.inner.open_response(envelope), type=ActivationLayer2)
        server_public = public_key_from_bytes(decode_base64(layer2.server_public_key, limit=65))
        counter_data = decode_base64(layer2.ctr_data, limit=KEY_SIZE)
    except (PowerAuthProtocolError, msgspec.DecodeError) as error:
        raise ServerNotGenuine(cause=error) from error
    if len(counter_data) != KEY_SIZE:
        raise ServerNotGenuine
    keys = derive_activation_keys(master_secret(pending.private_key, server_public))
    pin_salt = random(16)
    return PhoneState(
        server_url=pending.server_url,
        sdk_config=pending.sdk_config,
        activation_id=layer2.activation_id,
        activation_name=pending.name,
        protocol_version=pending.outer.version.text,
        device_public_key=public_key_to_bytes(pending.private_key.public_key()),
        device_private_key_sealed=seal_device_private_key(private_key_to_bytes(pending.private_key), keys.vault),
        server_public_key=public_key_to_bytes(server_public),
        transport_key=keys.transport,
        possession_key=keys.possession,
        knowledge_key_sealed=seal_knowledge_key(keys.knowledge, pin, pin_salt),
        pin_salt=pin_salt,
        biometry_key=keys.biometry if biometry else None,
        counter_data=counter_data,
    )


def fingerprint(state: PhoneState) -> str:
    """The 8 digits that the phone and the back end show, so that a person can compare them."""
    return activation_fingerprint(
        public_key_from_bytes(state.device_public_key),
        state.activation_id,
        public_key_from_bytes(state.server_public_key),
    )
