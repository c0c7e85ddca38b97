"""Push credentials as developers hand them in: what is taken, and which field is named when it is not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from ringback.apps.credential_desk import apns_credential
from ringback.apps.credential_forms import apns_token_key, fcm_service_account, web_push_keys
from ringback.apps.schema_push_credentials import ApnsContent
from ringback.errors import InvalidRequest
from ringback.http import decode
from ringback.protocols.apns_certificate import DEVELOPMENT, PRODUCTION, TOPICS
from ringback.push import ApnsCertificate, ApnsTokenKey, from_secret
from tests.apps.push_files import (
    BUNDLE_ID,
    DAY,
    apns_form,
    base64_of,
    certificate,
    certificate_pem,
    fcm_form,
    p12_of,
    p256,
    pem,
    rsa_key,
    service_account,
)
from tests.contract import sdk_guide

VOIP = f"{BUNDLE_ID}.voip"
DAMAGED_KEY_FILE = json.loads(sdk_guide.APNS)["keyFile"]
DAMAGED_ACCOUNT = json.loads(sdk_guide.FCM)["serviceAccount"]


def apns(content: dict[str, Any]) -> Any:
    return apns_credential(decode(json.dumps(content).encode(), ApnsContent), time.time_ns() // 1_000_000)


def refused(attempt: Callable[[], Any]) -> tuple[str, str]:
    """The field that is named, and the hint."""
    with pytest.raises(InvalidRequest) as error:
        attempt()
    (violation,) = error.value.violations
    return violation.field_name, violation.hint


def test_the_form_of_the_guide_is_an_apns_auth_key() -> None:
    key = apns(apns_form())
    assert isinstance(key, ApnsTokenKey)
    assert (key.key_id, key.team_id, key.bundle_id, key.environment) == ("73Q8JZND1V", "D7A3215KHV", BUNDLE_ID, None)
    assert key.signing_key.private_numbers() == p256().private_numbers()
    assert from_secret(key.to_secret()) == key
    assert "PRIVATE" not in repr(key)


def test_base64_may_be_broken_into_lines_and_the_key_may_be_der() -> None:
    text = base64_of(pem(p256()))
    broken = "\n".join(re.findall(".{1,76}", text)) + "\n"
    der = p256().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for key_file in (broken, base64_of(der)):
        assert apns(apns_form(keyFile=key_file)).signing_key.private_numbers() == p256().private_numbers()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"keyFile": DAMAGED_KEY_FILE}, "keyFile"),
        ({"keyFile": "junk"}, "keyFile"),
        ({"keyFile": "%%%%"}, "keyFile"),
        ({"keyFile": "====" * 8}, "keyFile"),
        ({"keyFile": " "}, "keyFile"),
        ({"keyFile": "žluťoučký"}, "keyFile"),
        ({"keyFile": pem(p256()).decode()}, "keyFile"),
        ({"keyFile": base64_of(pem(p256(), b"secret"))}, "keyFile"),
        ({"keyFile": base64_of(pem(rsa_key()))}, "keyFile"),
        ({"keyFile": base64_of(pem(ec.generate_private_key(ec.SECP384R1())))}, "keyFile"),
        ({"keyFile": base64_of(pem(ed25519.Ed25519PrivateKey.generate()))}, "keyFile"),
        ({"keyFile": base64_of(certificate_pem(certificate()))}, "keyFile"),
        ({"keyFile": "A" * 100_000}, "keyFile"),
        ({"keyFile": None}, "keyFile"),
        ({"keyFile": 7}, "keyFile"),
        ({"keyId": None}, "keyId"),
        ({"keyId": "73Q8JZND1"}, "keyId"),
        ({"keyId": "73q8jznd1v"}, "keyId"),
        ({"keyId": "73Q8JZND1V\n"}, "keyId"),
        ({"keyId": "٧٣Q8JZND1V"}, "keyId"),
        ({"teamId": None}, "teamId"),
        ({"teamId": "D7A3215KHVX"}, "teamId"),
        ({"bundleId": None}, "bundleId"),
        ({"bundleId": "KitchenSink"}, "bundleId"),
        ({"bundleId": "com.example.kitchen sink"}, "bundleId"),
        ({"bundleId": "com.example." + "x" * 200}, "bundleId"),
        ({"environment": "staging"}, "environment"),
        ({"p12": "AAAA"}, "p12"),
        ({"certificate": "AAAA"}, "certificate"),
    ],
)
def test_a_bad_auth_key_is_refused_by_the_field_that_is_wrong(changed: dict[str, Any], field: str) -> None:
    assert refused(lambda: apns(apns_form(**changed)))[0] == field


def test_a_certificate_comes_as_pem_in_one_file_or_two_or_as_p12() -> None:
    made = certificate()
    both = base64_of(certificate_pem(made) + pem(rsa_key()))
    two = {"certificate": base64_of(certificate_pem(made)), "privateKey": base64_of(pem(rsa_key()))}
    for form in ({"certificate": both}, two, {"p12": p12_of(made, rsa_key()), "password": "secret"}):
        credential = apns(form)
        assert isinstance(credential, ApnsCertificate)
        assert (credential.bundle_id, credential.topics) == (BUNDLE_ID, (BUNDLE_ID,))
        assert credential.not_after == round(made.not_valid_after_utc.timestamp() * 1000)
        assert from_secret(credential.to_secret()) == credential
    assert isinstance(apns({"p12": p12_of(made, rsa_key(), b"")}), ApnsCertificate)


def encrypted_keys() -> list[bytes]:
    """As `openssl pkcs12 -nocerts` writes it, newer and older, with the lines that it writes before; and in DER."""
    described = b"Bag Attributes\n    friendlyName: push\nKey Attributes: <No Attributes>\n"
    password = BestAvailableEncryption(b"secret")
    return [
        described + pem(rsa_key(), b"secret"),
        rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, password),
        rsa_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, password),
    ]


@pytest.mark.parametrize("key", encrypted_keys(), ids=["described", "older", "der"])
def test_the_key_of_a_certificate_may_be_encrypted(key: bytes) -> None:
    made = certificate()
    credential = apns({**_pair(made, key), "password": "secret"})
    assert credential.private_key_pem == pem(rsa_key()).decode()
    assert refused(lambda: apns({**_pair(made, key), "password": "Secret"}))[0] == "password"
    assert "send its password" in refused(lambda: apns(_pair(made, key)))[1]
    if key.startswith(b"-----BEGIN"):
        assert apns({"certificate": base64_of(certificate_pem(made) + key), "password": "secret"}) == credential


def test_a_certificate_comes_as_apple_delivers_it() -> None:
    made = certificate()
    der = {"certificate": base64_of(made.public_bytes(Encoding.DER)), "privateKey": base64_of(pem(rsa_key()))}
    assert apns(der) == apns(_pair(made))


def test_the_certificate_may_stand_anywhere_in_its_chain() -> None:
    made, issuer = certificate(), certificate(None, key=p256())
    in_order = certificate_pem(made) + certificate_pem(issuer)
    for chain in (in_order, certificate_pem(issuer) + certificate_pem(made)):
        credential = apns({"certificate": base64_of(chain), "privateKey": base64_of(pem(rsa_key()))})
        assert credential.certificate_pem == in_order.decode()
    assert refused(lambda: apns(_pair(issuer)))[0] == "privateKey"


def test_a_certificate_says_its_topics_and_its_environment() -> None:
    listed = {BUNDLE_ID: "app", VOIP: "voip", f"{BUNDLE_ID}.complication": "complication"}
    for extensions, environment in (
        ((), None),
        ((DEVELOPMENT, PRODUCTION), None),
        ((DEVELOPMENT,), "development"),
        ((PRODUCTION,), "production"),
    ):
        credential = apns({"p12": p12_of(certificate(topics=listed, extensions=extensions), rsa_key(), b"")})
        assert (credential.topics, credential.environment) == (tuple(listed), environment)
    for_calls = apns({"p12": p12_of(certificate(VOIP), rsa_key(), b"")})
    assert (for_calls.bundle_id, for_calls.topics) == (BUNDLE_ID, (VOIP,))
    chosen = apns({"p12": p12_of(certificate(topics=listed), rsa_key(), b""), "bundleId": VOIP})
    assert chosen.bundle_id == VOIP
    both = apns({"p12": p12_of(certificate(), rsa_key(), b""), "environment": "development"})
    assert both.environment == "development"


def _pair(made: x509.Certificate, key: bytes | None = None) -> dict[str, Any]:
    return {"certificate": base64_of(certificate_pem(made)), "privateKey": base64_of(key or pem(rsa_key()))}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"certificate": "AAAA"}, "certificate"),
        ({"certificate": base64_of(certificate_pem(certificate()))}, "certificate"),
        (_pair(certificate(), b"junk"), "privateKey"),
        (_pair(certificate(), pem(rsa_key(), b"secret")), "password"),
        ({**_pair(certificate(), pem(rsa_key(), b"secret")), "password": "wrong"}, "password"),
        ({**_pair(certificate(), pem(p256(), b"secret")), "password": "secret"}, "privateKey"),
        ({"certificate": base64_of(certificate_pem(certificate()) + pem(rsa_key(), b"secret"))}, "password"),
        ({"certificate": base64_of(certificate().public_bytes(Encoding.DER))}, "certificate"),
        (_pair(certificate(), pem(p256())), "privateKey"),
        (_pair(certificate(None)), "certificate"),
        (_pair(certificate("Nobody")), "certificate"),
        (_pair(certificate(begins=-3 * DAY, ends=-DAY)), "certificate"),
        (_pair(certificate(begins=DAY)), "certificate"),
        (_pair(certificate(raw_topics=x509.UnrecognizedExtension(TOPICS, b"\x30\x7fjunk"))), "certificate"),
        (_pair(certificate(raw_topics=x509.UnrecognizedExtension(TOPICS, b"\x02\x01\x00"))), "certificate"),
        (_pair(certificate(topics={f"com.example.x{n}": "app" for n in range(120)})), "certificate"),
        ({**_pair(certificate(extensions=(PRODUCTION,))), "environment": "development"}, "environment"),
        ({**_pair(certificate()), "bundleId": "com.example.other"}, "bundleId"),
        ({"p12": "AAAA"}, "p12"),
        ({"p12": base64_of(b"\x30" * 900)}, "p12"),
        ({"p12": p12_of(None, rsa_key(), b"")}, "p12"),
        ({"p12": p12_of(certificate(), None, b"")}, "p12"),
        ({"p12": p12_of(certificate(), rsa_key())}, "password"),
        ({"p12": p12_of(certificate(), rsa_key()), "password": "wrong"}, "password"),
        ({"p12": p12_of(certificate(), rsa_key(), b""), "password": 7}, "password"),
        ({"p12": p12_of(certificate(begins=-3 * DAY, ends=-DAY), rsa_key(), b"")}, "p12"),
    ],
)
def test_a_bad_certificate_is_refused_by_the_field_that_is_wrong(content: dict[str, Any], field: str) -> None:
    assert refused(lambda: apns(content))[0] == field


def test_a_p12_that_would_keep_the_server_busy_is_not_opened() -> None:
    slow = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1_500_000).build(b"secret")
    data = pkcs12.serialize_key_and_certificates(b"push", rsa_key(), certificate(), None, slow)
    field, hint = refused(lambda: apns({"p12": base64_of(data), "password": "secret"}))
    assert field == "p12"
    assert "iterations" in hint


def test_an_expired_certificate_says_when_it_expired() -> None:
    made = certificate(begins=-3 * DAY, ends=-DAY)
    assert f"{made.not_valid_after_utc:%Y-%m-%d}" in refused(lambda: apns(_pair(made)))[1]


def test_the_form_of_the_guide_is_a_service_account() -> None:
    account = fcm_service_account(fcm_form()["serviceAccount"])
    assert account.project_id == "kitchensink-demo-app"
    assert account.client_email.startswith("firebase-adminsdk-i2kad@")
    assert account.signing_key.private_numbers() == rsa_key().private_numbers()
    assert from_secret(account.to_secret()) == account
    assert b"token_uri" not in account.to_secret()
    assert b"oauth2" not in account.to_secret()


@pytest.mark.parametrize("project", ["abcdef", "example.com:my-project", "a" * 30])
def test_ids_of_projects(project: str) -> None:
    assert fcm_service_account(fcm_form(project_id=project)["serviceAccount"]).project_id == project


def _inconsistent() -> str:
    """An RSA key whose parts do not belong together, as the one that the guide prints."""
    numbers = rsa_key().private_numbers()
    data = bytearray(pem(rsa_key()))
    assert numbers.p != numbers.q
    at = data.index(b"\n", len(data) // 2) + 10
    data[at] = ord("A") if data[at] != ord("A") else ord("B")
    return data.decode()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"type": "authorized_user"}, "type"),
        ({"type": None}, "type"),
        ({"project_id": None}, "project_id"),
        ({"project_id": "../../v2"}, "project_id"),
        ({"project_id": "A"}, "project_id"),
        ({"project_id": 7}, "project_id"),
        ({"private_key_id": None}, "private_key_id"),
        ({"private_key_id": ""}, "private_key_id"),
        ({"private_key_id": 'x"y'}, "private_key_id"),
        ({"client_email": None}, "client_email"),
        ({"client_email": "nobody"}, "client_email"),
        ({"private_key": None}, "private_key"),
        ({"private_key": ""}, "private_key"),
        ({"private_key": "junk"}, "private_key"),
        ({"private_key": "x" * 100_000}, "private_key"),
        ({"private_key": _inconsistent()}, "private_key"),
        ({"private_key": pem(p256()).decode()}, "private_key"),
        ({"private_key": pem(rsa_key(), b"secret").decode()}, "private_key"),
        ({"private_key": pem(rsa_key(1024)).decode()}, "private_key"),
    ],
)
def test_a_bad_service_account_is_refused_by_the_field_that_is_wrong(changed: dict[str, Any], field: str) -> None:
    named, _ = refused(lambda: fcm_service_account(fcm_form(**changed)["serviceAccount"]))
    assert named == f"serviceAccount.{field}"


def test_the_account_that_the_guide_prints_is_damaged() -> None:
    assert refused(lambda: fcm_service_account(DAMAGED_ACCOUNT))[0] == "serviceAccount.private_key"


@pytest.mark.parametrize("text", ["junk", base64_of("no JSON"), base64_of("[]"), base64_of(b"\xff\xfe"), "e30"])
def test_what_is_no_service_account_at_all(text: str) -> None:
    assert refused(lambda: fcm_service_account(text))[0].split(".")[0] == "serviceAccount"


def test_another_api_names_its_own_fields() -> None:
    names = {"bundleId": "topic", "keyFile": "privateKeyBase64"}
    fields = {"key_id": "73Q8JZND1V", "team_id": "D7A3215KHV", "names": names}
    assert refused(lambda: apns_token_key(bundle_id="x", key_file="junk", **fields))[0] == "topic"
    assert refused(lambda: apns_token_key(bundle_id=BUNDLE_ID, key_file="junk", **fields))[0] == "privateKeyBase64"
    text = fcm_form(private_key="junk")["serviceAccount"]
    assert refused(lambda: fcm_service_account(text, field="privateKeyBase64"))[0] == "privateKeyBase64.private_key"
    good = fcm_form()["serviceAccount"]
    assert refused(lambda: fcm_service_account(good, project_id="X"))[0] == "projectId"
    assert fcm_service_account(good, project_id="another-project").project_id == "another-project"
    assert service_account()["project_id"] != "another-project"


def test_web_push_keys_are_made_or_brought_along() -> None:
    made, other = (web_push_keys("mailto:push@example.com") for _ in range(2))
    assert made.public_key != other.public_key
    assert len(made.public_key) == 87
    assert from_secret(made.to_secret()) == made
    raw = p256().private_numbers().private_value.to_bytes(32, "big")
    text = base64_of(raw).translate(str.maketrans("+/", "-_"))
    for brought in (text, text.rstrip("=")):
        keys = web_push_keys("https://example.com/push", brought)
        point = p256().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert keys.public_key == base64_of(point).translate(str.maketrans("+/", "-_")).rstrip("=")


@pytest.mark.parametrize(
    ("subject", "key", "field"),
    [
        ("push@example.com", None, "subject"),
        ("mailto:", None, "subject"),
        ("http://example.com", None, "subject"),
        ("https://", None, "subject"),
        ('mailto:a@b"\r\nx', None, "subject"),
        ("mailto:žofie@example.com", None, "subject"),
        ("mailto:a@b", "A" * 43, "privateKey"),
        ("mailto:a@b", "_" * 43, "privateKey"),
        ("mailto:a@b", "AAAA", "privateKey"),
        # Cut where it was copied, or with something before it: numbers that would be keys, but not this one.
        ("mailto:a@b", "AQAB" * 9 + "AQE", "privateKey"),
        ("mailto:a@b", "AAAA" + "AQAB" * 10 + "AQE", "privateKey"),
        ("mailto:a@b", "%" * 43, "privateKey"),
    ],
)
def test_bad_web_push_keys_are_refused(subject: str, key: str | None, field: str) -> None:
    assert refused(lambda: web_push_keys(subject, key))[0] == field


@given(st.binary(max_size=300))
def test_no_file_is_more_than_refused(data: bytes) -> None:
    text = base64_of(data)
    for content in (apns_form(keyFile=text), {"certificate": text}, {"p12": text}, {"p12": text, "password": "x"}):
        with pytest.raises(InvalidRequest):
            apns(content)
    with pytest.raises(InvalidRequest):
        fcm_service_account(text)
