"""The project's own recorded vectors: they run everywhere."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import msgspec
import pytest

from ringback.protocols.powerauth import (
    ecies,
    ecies_client,
    ecies_server,
    fingerprint,
    headers,
    keys,
    sdk_configuration,
    signature,
    temporary_key,
    temporary_key_client,
    temporary_key_server,
    token,
    vault,
)
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS


def scope_base(recorded: Any, case: Any) -> bytes:
    secret = recorded["keys"]["applicationSecret"]
    if case["activationId"] is None:
        return ecies.application_base(secret)
    return ecies.activation_base(b64decode(recorded["keys"]["transportKey"]), secret)


@pytest.mark.parametrize("number", range(8))
def test_ecies_server(recorded: Any, recorded_bytes: Any, number: int) -> None:
    case = recorded["ecies"][number]
    plaintext, session = ecies_server.open_request(
        msgspec.convert(case["request"], ecies.EciesEnvelope),
        version=PROTOCOL_VERSIONS[case["version"]],
        private_key=keys.private_key_from_bytes(recorded_bytes("serverPrivateKey")),
        shared_info1=case["sharedInfo1"],
        base=scope_base(recorded, case),
        application_key=recorded["keys"]["applicationKey"],
        activation_id=case["activationId"],
    )
    assert plaintext == case["requestPlaintext"].encode()
    response = session.seal_response(
        case["responsePlaintext"].encode(),
        lambda _: recorded_bytes("responseNonce"),
        recorded["keys"]["responseTimestamp"],
    )
    assert msgspec.json.decode(msgspec.json.encode(response)) == case["response"]


@pytest.mark.parametrize("number", range(8))
def test_ecies_client(recorded: Any, recorded_bytes: Any, number: int) -> None:
    case = recorded["ecies"][number]
    version = PROTOCOL_VERSIONS[case["version"]]
    envelope, session = ecies_client.seal_request(
        case["requestPlaintext"].encode(),
        version=version,
        public_key=keys.public_key_from_bytes(recorded_bytes("serverPublicKey")),
        shared_info1=case["sharedInfo1"],
        base=scope_base(recorded, case),
        application_key=recorded["keys"]["applicationKey"],
        random=lambda _: recorded_bytes("requestNonce"),
        now_ms=recorded["keys"]["requestTimestamp"],
        activation_id=case["activationId"],
        temporary_key_id=recorded["keys"]["temporaryKeyId"] if version.temporary_keys else None,
        ephemeral_key=keys.private_key_from_bytes(recorded_bytes("ephemeralPrivateKey")),
    )
    assert msgspec.json.decode(msgspec.json.encode(envelope)) == case["request"]
    response = msgspec.convert(case["response"], ecies.EciesResponse)
    assert session.open_response(response) == case["responsePlaintext"].encode()


def test_token_digest(recorded: Any) -> None:
    for case in recorded["tokenDigests"]:
        secret, nonce, version = b64decode(case["secret"]), b64decode(case["nonce"]), PROTOCOL_VERSIONS[case["version"]]
        digest = b64decode(case["digest"])
        assert token.token_digest(secret, nonce, case["timestamp"], version) == digest
        assert token.verify_token_digest(secret, nonce, case["timestamp"], version, digest)
        assert not token.verify_token_digest(secret, nonce, case["timestamp"] + "0", version, digest)
        assert not token.verify_token_digest(secret, nonce, case["timestamp"], version, digest[:-1])


def test_sdk_configuration(recorded: Any) -> None:
    for case in recorded["sdkConfigurations"]:
        configuration = sdk_configuration.SdkConfiguration(
            app_key=b64decode(case["appKey"]),
            app_secret=b64decode(case["appSecret"]),
            public_keys={int(key_id): b64decode(key) for key_id, key in case["publicKeys"].items()},
        )
        assert sdk_configuration.build_sdk_configuration(configuration) == case["text"]
        assert sdk_configuration.parse_sdk_configuration(case["text"]) == configuration
        assert case["appSecret"] not in repr(configuration)


def test_temporary_key_requests(recorded: Any, recorded_bytes: Any) -> None:
    secret = b64decode(recorded["keys"]["applicationSecret"])
    for case in recorded["temporaryKeyRequests"]:
        hmac_key = b64decode(case["hmacKey"])
        in_activation_scope = case["activationId"] is not None
        derived = temporary_key.activation_hmac_key(recorded_bytes("transportKey"), secret)
        assert hmac_key == (derived if in_activation_scope else secret)
        claims = temporary_key_server.verify_temporary_key_request(case["jwt"], hmac_key)
        assert claims == temporary_key_server.parse_temporary_key_request(case["jwt"])
        assert claims.application_key == recorded["keys"]["applicationKey"]
        assert (claims.activation_id, claims.challenge) == (case["activationId"], case["challenge"])
        jwt, challenge = temporary_key_client.build_temporary_key_request(
            application_key=recorded["keys"]["applicationKey"],
            hmac_key=hmac_key,
            random=lambda _, case=case: b64decode(case["challenge"]),
            activation_id=case["activationId"],
        )
        assert (jwt, challenge) == (case["jwt"], case["challenge"])


def test_temporary_key_response(recorded: Any, recorded_bytes: Any) -> None:
    case = recorded["temporaryKeyResponse"]
    key = temporary_key_client.verify_temporary_key_response(
        case["jwt"],
        keys.public_key_from_bytes(recorded_bytes("serverPublicKey")),
        application_key=recorded["keys"]["applicationKey"],
        challenge=case["challenge"],
        activation_id=case["activationId"],
    )
    assert key.key_id == recorded["keys"]["temporaryKeyId"]
    assert keys.public_key_to_bytes(key.public_key) == b64decode(case["publicKey"])
    assert (key.server_time_ms, key.expires_at) == (case["issuedAt"], case["expiresAt"])
    assert key.is_usable(case["expiresAt"] - 10_001)
    assert not key.is_usable(case["expiresAt"] - 10_000)


def test_vault_key(recorded: Any, recorded_bytes: Any) -> None:
    case, transport = recorded["vault"], recorded_bytes("transportKey")
    assert vault.encrypt_vault_key(transport, b64decode(case["vaultKey"])) == b64decode(case["encrypted"])
    assert vault.decrypt_vault_key(transport, b64decode(case["encrypted"])) == b64decode(case["vaultKey"])


def test_headers_are_written_as_the_sdk_writes_them(recorded: Any) -> None:
    case = recorded["headers"]
    assert headers.build_signature_header(headers.parse_signature_header(case["signature"])) == case["signature"]
    assert headers.build_token_header(headers.parse_token_header(case["token"])) == case["token"]
    assert headers.build_encryption_header(headers.parse_encryption_header(case["encryption"])) == case["encryption"]
    assert headers.parse_token_header(case["token"]).timestamp_ms == recorded["keys"]["requestTimestamp"]


def test_normalized_data(recorded: Any) -> None:
    case = recorded["normalizedData"]
    data = signature.normalized_data(
        case["method"], case["uriId"], b64decode(case["nonce"]), case["body"].encode(), case["secret"]
    )
    assert data.decode() == case["data"]


def test_fingerprint_of_coordinates_with_leading_zeros(recorded: Any) -> None:
    for case in recorded["fingerprints"]:
        device, server = (keys.public_key_from_bytes(b64decode(case[name])) for name in ("device", "server"))
        assert fingerprint.activation_fingerprint(device, case["activationId"], server) == case["fingerprint"]
