"""The public PowerAuth test vectors."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from ringback.protocols.powerauth import activation_code, derived_keys, fingerprint, keys, signature, status_blob
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS

pytestmark = pytest.mark.vectors


def activation_keys(case: dict[str, str]) -> derived_keys.ActivationKeys:
    return derived_keys.ActivationKeys(
        possession=b64decode(case["signaturePossessionKey"]),
        knowledge=b64decode(case["signatureKnowledgeKey"]),
        biometry=b64decode(case["signatureBiometryKey"]),
        transport=b"",
        vault=b"",
    )


@pytest.mark.parametrize(("name", "version"), [("signatures-v3.json", "3.0"), ("signatures-v31.json", "3.1")])
def test_online_signatures(public_vectors: Any, name: str, version: str) -> None:
    for given, wanted in public_vectors(name):
        factors = signature.factor_keys(activation_keys(given), given["signatureType"].lower())
        counter, data = b64decode(given["counterData"]), b64decode(given["data"])
        components = signature.compute_components(factors, counter, data)
        assert signature.format_signature(components, PROTOCOL_VERSIONS[version]) == wanted["signature"]
        match = signature.verify_signature(factors, counter, 1, data, wanted["signature"], PROTOCOL_VERSIONS[version])
        assert match is not None


def test_offline_signatures(public_vectors: Any) -> None:
    for given, wanted in public_vectors("signatures-offline.json"):
        factors = signature.factor_keys(activation_keys(given), given["signatureType"].lower())
        counter, data, digits = (
            b64decode(given["counterData"]),
            b64decode(given["data"]),
            int(given["signatureComponentLength"]),
        )
        components = signature.compute_components(factors, counter, data)
        assert signature.format_offline(components, digits) == wanted["signature"]
        assert signature.verify_offline_signature(factors, counter, 1, data, wanted["signature"], digits) is not None


def test_derived_keys(public_vectors: Any) -> None:
    for given, wanted in public_vectors("compute-derived-keys.json"):
        derived = derived_keys.derive_activation_keys(b64decode(given["masterSecretKey"]))
        assert derived == derived_keys.ActivationKeys(
            possession=b64decode(wanted["signaturePossessionKey"]),
            knowledge=b64decode(wanted["signatureKnowledgeKey"]),
            biometry=b64decode(wanted["signatureBiometryKey"]),
            transport=b64decode(wanted["transportKey"]),
            vault=b64decode(wanted["vaultEncryptionKey"]),
        )


def test_master_secret_from_both_sides(public_vectors: Any) -> None:
    for given, wanted in public_vectors("compute-master-secret-key.json"):
        secret = b64decode(wanted["masterSecretKey"])
        for private, public in (("device", "server"), ("server", "device")):
            private_key = keys.private_key_from_bytes(b64decode(given[f"{private}PrivateKey"]))
            public_key = keys.public_key_from_bytes(b64decode(given[f"{public}PublicKey"]))
            assert keys.master_secret(private_key, public_key) == secret
            assert keys.public_key_to_bytes(private_key.public_key()) == b64decode(given[f"{private}PublicKey"])


def test_status_iv(public_vectors: Any) -> None:
    for given, wanted in public_vectors("activation-status-blob-iv.json"):
        transport, challenge, nonce = (b64decode(given[name]) for name in ("transportKey", "challenge", "nonce"))
        assert status_blob.status_iv(transport, challenge, nonce) == b64decode(wanted["iv"])


def test_status_blob(public_vectors: Any) -> None:
    for given, wanted in public_vectors("activation-status-blob-data.json"):
        transport, challenge, nonce = (b64decode(given[name]) for name in ("transportKey", "challenge", "nonce"))
        status = status_blob.parse_status_blob(transport, challenge, nonce, b64decode(given["encryptedStatusBlob"]))
        assert status == status_blob.StatusBlob(
            status=int(wanted["activationStatus"]),
            current_version=int(wanted["currentVersion"]),
            upgrade_version=int(wanted["upgradeVersion"]),
            counter_byte=int(wanted["ctrByte"]),
            failed_attempts=int(wanted["failedAttempts"]),
            max_failed_attempts=int(wanted["maxFailedAttempts"]),
            look_ahead=int(wanted["ctrLookAhead"]),
            counter_hash=b64decode(wanted["ctrDataHash"]),
        )
        if wanted["counterDistance"] == "0":
            assert status_blob.counter_hash(transport, b64decode(given["ctrData"])) == status.counter_hash


def test_fingerprint(public_vectors: Any) -> None:
    for given, wanted in public_vectors("public-key-fingerprint-v3.json"):
        device = keys.public_key_from_bytes(b64decode(given["devicePublicKey"]))
        server = keys.public_key_from_bytes(b64decode(given["serverPublicKey"]))
        # The file writes a coordinate without its leading zero bytes; so does the fingerprint.
        assert keys.x_coordinate(device) == b64decode(wanted["devicePublicKeyCoordX"]).rjust(32, b"\0")
        assert keys.x_coordinate(server) == b64decode(wanted["serverPublicKeyCoordX"]).rjust(32, b"\0")
        assert fingerprint.activation_fingerprint(device, wanted["activationId"], server) == wanted["fingerprint"]


def test_activation_code_signature(public_vectors: Any) -> None:
    for given, wanted in public_vectors("verify-activation-data-signature-v3.json"):
        code = given["activationCode"]
        public = keys.public_key_from_bytes(b64decode(given["masterPublicKey"]))
        private = keys.private_key_from_bytes(b64decode(given["masterPrivateKey"]))
        assert activation_code.is_activation_code(code)
        assert activation_code.verify_activation_code(public, code, b64decode(wanted["activationSignature"]))
        assert activation_code.verify_activation_code(public, code, activation_code.sign_activation_code(private, code))
