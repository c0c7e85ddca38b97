"""A phone for tests: builds messages with the protocols' client side and lets a test play with its counter."""

from __future__ import annotations

import base64
import os
from typing import Any

import msgspec

from ringback.clock import Clock
from ringback.protocols.powerauth import keys as p256
from ringback.protocols.powerauth.derived_keys import ActivationKeys, derive_activation_keys
from ringback.protocols.powerauth.ecies import (
    SH1_ACTIVATION_LAYER_2,
    SH1_APPLICATION,
    SH1_TOKEN_CREATE,
    EciesEnvelope,
    EciesResponse,
    activation_base,
    application_base,
)
from ringback.protocols.powerauth.ecies_client import EciesClientSession, seal_request
from ringback.protocols.powerauth.headers import EncryptionHeader, SignatureHeader, TokenHeader
from ringback.protocols.powerauth.primitives import next_counter
from ringback.protocols.powerauth.sdk_configuration import parse_sdk_configuration
from ringback.protocols.powerauth.signature import compute_components, factor_keys, format_signature, normalized_data
from ringback.protocols.powerauth.temporary_key import activation_hmac_key
from ringback.protocols.powerauth.temporary_key_client import (
    TemporaryKey,
    build_temporary_key_request,
    verify_temporary_key_response,
)
from ringback.protocols.powerauth.token import token_digest
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS, protocol_version

ALL_VERSIONS = tuple(PROTOCOL_VERSIONS)
PK = "possession_knowledge"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class TestPhone:
    """One app installation, which speaks one protocol version. `finish_*` methods take the server's answer.

    Where a method takes a temporary key: it is None in versions that have none.
    """

    __test__ = False

    def __init__(self, sdk_configuration: str, clock: Clock, version: str = "3.3") -> None:
        self.version = protocol_version(version)
        configuration = parse_sdk_configuration(sdk_configuration)
        self.app_key = b64(configuration.app_key)
        self.app_secret = b64(configuration.app_secret)
        self.master_key = p256.public_key_from_bytes(configuration.public_keys[1])
        self.clock = clock
        self.id = ""
        self.keys: ActivationKeys | None = None
        self.server_key: p256.PublicKey | None = None
        self.device_key = p256.generate_private_key()
        self.counter = b""
        self.mac_token: tuple[str, bytes] | None = None

    # temporary keys

    def temporary_key_request(self, *, activation: bool) -> tuple[str, str]:
        secret = base64.b64decode(self.app_secret)
        hmac_key = activation_hmac_key(self.known_keys.transport, secret) if activation else secret
        return build_temporary_key_request(
            application_key=self.app_key,
            hmac_key=hmac_key,
            random=os.urandom,
            activation_id=self.id if activation else None,
        )

    def temporary_key(self, jwt: str, challenge: str, *, activation: bool) -> TemporaryKey:
        server_key = self.server_key if activation else self.master_key
        assert server_key is not None
        activation_id = self.id if activation else None
        return verify_temporary_key_response(
            jwt, server_key, application_key=self.app_key, challenge=challenge, activation_id=activation_id
        )

    # activation

    @property
    def encryption_header(self) -> EncryptionHeader:
        return EncryptionHeader(self.version, self.app_key)

    @property
    def activation_encryption_header(self) -> EncryptionHeader:
        """Of activation scope; a signed request has none."""
        return EncryptionHeader(self.version, self.app_key, self.id)

    def activation_request(
        self, key: TemporaryKey | None, code: str, *, device_key: str | None = None, kind: str = "CODE", **more: Any
    ) -> tuple[bytes, tuple[EciesClientSession, EciesClientSession]]:
        public = p256.public_key_to_bytes(self.device_key.public_key(), compressed=True)
        device = {
            "devicePublicKey": b64(public) if device_key is None else device_key,
            "activationName": "Jan's phone",
            "platform": "ios",
            "deviceInfo": "iPhone17,1",
            "extras": None,
            **more,
        }
        inner, inner_session = self.seal(device, key, SH1_ACTIVATION_LAYER_2)
        layer1 = {"type": kind, "identityAttributes": {"code": code}, "activationData": msgspec.to_builtins(inner)}
        outer, outer_session = self.seal(layer1, key, SH1_APPLICATION)
        return msgspec.json.encode(outer), (outer_session, inner_session)

    def finish_activation(self, answer: EciesResponse, sessions: tuple[EciesClientSession, EciesClientSession]) -> None:
        layer1 = msgspec.json.decode(sessions[0].open_response(answer))
        layer2 = sessions[1].open_response(msgspec.convert(layer1["activationData"], EciesResponse))
        made = msgspec.json.decode(layer2)
        self.id = made["activationId"]
        self.server_key = p256.public_key_from_bytes(base64.b64decode(made["serverPublicKey"]))
        self.keys = derive_activation_keys(p256.master_secret(self.device_key, self.server_key))
        self.counter = base64.b64decode(made["ctrData"])

    @property
    def known_keys(self) -> ActivationKeys:
        assert self.keys is not None
        return self.keys

    def seal(
        self,
        plain: Any,
        key: TemporaryKey | None,
        shared_info1: str,
        *,
        activation: bool = False,
        now_ms: int | None = None,
    ) -> tuple[EciesEnvelope, EciesClientSession]:
        lasting, base = self.master_key, application_base(self.app_secret)
        if activation:
            assert self.server_key is not None
            lasting, base = self.server_key, activation_base(self.known_keys.transport, self.app_secret)
        return seal_request(
            msgspec.json.encode(plain),
            version=self.version,
            public_key=lasting if key is None else key.public_key,
            shared_info1=shared_info1,
            base=base,
            application_key=self.app_key,
            random=os.urandom,
            now_ms=self.clock.now_ms() if now_ms is None else now_ms,
            activation_id=self.id if activation else None,
            temporary_key_id=None if key is None else key.key_id,
        )

    def mac_token_request(
        self, key: TemporaryKey | None, *, now_ms: int | None = None
    ) -> tuple[bytes, EciesClientSession]:
        envelope, session = self.seal({}, key, SH1_TOKEN_CREATE, activation=True, now_ms=now_ms)
        return msgspec.json.encode(envelope), session

    def finish_mac_token(self, answer: EciesResponse, session: EciesClientSession) -> None:
        made = msgspec.json.decode(session.open_response(answer))
        self.mac_token = (made["tokenId"], base64.b64decode(made["tokenSecret"]))

    # proofs

    def ahead(self, steps: int) -> None:
        for _ in range(steps):
            self.counter = next_counter(self.counter)

    def sign(
        self, method: str, uri_id: str, body: bytes, signature_type: str = PK, *, wrong: bool = False, **more: Any
    ) -> SignatureHeader:
        """Signs and moves the counter. `wrong`: as with a wrong PIN."""
        version = protocol_version(more.pop("version", self.version.text))
        nonce = os.urandom(16)
        data = normalized_data(method, uri_id, nonce, body + b"?" if wrong else body, self.app_secret)
        factors = factor_keys(self.known_keys, signature_type)
        components = compute_components(factors, self.counter, data)
        self.ahead(1)
        header = SignatureHeader(
            version, self.id, self.app_key, nonce, signature_type, format_signature(components, version)
        )
        return msgspec.structs.replace(header, **more)

    def token_header(self, *, timestamp_ms: int | None = None, version: str | None = None) -> TokenHeader:
        assert self.mac_token is not None
        token_id, secret = self.mac_token
        spoken = self.version if version is None else protocol_version(version)
        nonce = os.urandom(16)
        timestamp = str(self.clock.now_ms() if timestamp_ms is None else timestamp_ms)
        digest = token_digest(secret, nonce, timestamp, spoken)
        return TokenHeader(spoken, token_id, digest, nonce, timestamp)
