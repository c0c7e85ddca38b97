"""Key files that are made to harm the server: none of them holds the event loop, and none is an error of ours."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ringback.apps import slow_keys
from ringback.apps.credential_desk import apns_credential
from ringback.apps.key_files import TOO_SLOW
from ringback.apps.schema_push_credentials import ApnsContent
from ringback.errors import InvalidRequest
from ringback.http import decode
from ringback.protocols.der import INTEGER, OCTET_STRING, SEQUENCE, element, items, iteration_counts
from tests.apps.push_files import base64_of, certificate, certificate_pem, p12_of, pem, rsa_key
from tests.served import Served

CONSTRUCTED_OCTET_STRING = 0x24
OBJECT_ID = 0x06
MOST = 2**31 - 1


def p12_with_mac(salt: bytes, count: int) -> str:
    """A .p12 file whose password needs `count` iterations; `salt`: as it is encoded."""
    ((_, pfx),) = items(base64.b64decode(p12_of(certificate(), rsa_key())))
    version, content, mac = items(pfx)
    digest, *_ = items(mac[1])
    asked = element(INTEGER, count.to_bytes(count.bit_length() // 8 + 1, "big", signed=True))
    parts = [element(*version), element(*content), element(SEQUENCE, element(*digest) + salt + asked)]
    return base64_of(element(SEQUENCE, b"".join(parts)))


def refused(content: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as error:
        apns_credential(decode(json.dumps(content).encode(), ApnsContent), time.time_ns() // 1_000_000)
    (violation,) = error.value.violations
    return violation.field_name, violation.hint


@pytest.mark.parametrize("count", [MOST, -MOST])
def test_a_p12_that_says_how_much_work_it_is_is_not_even_opened(count: int) -> None:
    bomb = p12_with_mac(element(OCTET_STRING, bytes(8)), count)
    assert refused({"p12": bomb, "password": "secret"}) == (
        "p12",
        "It asks for too many iterations of its password. Export it anew.",
    )


def hidden_bomb() -> str:
    """OpenSSL takes a salt in the constructed form of BER, behind which the count is not looked for."""
    bomb = p12_with_mac(element(CONSTRUCTED_OCTET_STRING, element(OCTET_STRING, bytes(8))), MOST)
    assert MOST not in list(iteration_counts(base64.b64decode(bomb)))
    return bomb


def test_a_p12_that_hides_how_much_work_it_is_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_keys, "PATIENCE_SECONDS", 1)
    assert refused({"p12": hidden_bomb(), "password": "secret"}) == ("p12", TOO_SLOW)


def encrypted_key(salt: bytes, count: int) -> str:
    """A private key whose password needs `count` iterations (PBES1, RFC 8018 App. A.3)."""
    pbe = bytes.fromhex("2a864886f70d010c0103")  # pbeWithSHAAnd3-KeyTripleDES-CBC
    asked = element(INTEGER, count.to_bytes(count.bit_length() // 8 + 1, "big", signed=True))
    algorithm = element(SEQUENCE, element(OBJECT_ID, pbe) + element(SEQUENCE, salt + asked))
    der = element(SEQUENCE, algorithm + element(OCTET_STRING, bytes(64)))
    lines = base64.encodebytes(der)
    return base64_of(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + lines + b"-----END ENCRYPTED PRIVATE KEY-----\n")


def test_an_encrypted_key_is_no_way_around_that(monkeypatch: pytest.MonkeyPatch) -> None:
    made = base64_of(certificate_pem(certificate()))
    sent = {"certificate": made, "password": "secret"}
    assert refused({**sent, "privateKey": encrypted_key(element(OCTET_STRING, bytes(8)), 2_000)})[0] == "password"
    field, hint = refused({**sent, "privateKey": encrypted_key(element(OCTET_STRING, bytes(8)), MOST)})
    assert (field, "too many iterations" in hint) == ("privateKey", True)
    monkeypatch.setattr(slow_keys, "PATIENCE_SECONDS", 1)
    hidden = element(CONSTRUCTED_OCTET_STRING, element(OCTET_STRING, bytes(8)))
    for salt, count in ((element(OCTET_STRING, bytes(8)), -MOST), (hidden, MOST)):
        assert refused({**sent, "privateKey": encrypted_key(salt, count)})[0] == "privateKey"


async def test_others_are_served_meanwhile(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_keys, "PATIENCE_SECONDS", 3)
    body = {"p12": hidden_bomb(), "password": "secret"}
    opening = asyncio.create_task(
        served.call("PUT", "/api/v1/apps/bank/push-credentials/apns", body, auth=served.admin)
    )
    for _ in range(3):
        assert (await served.call("GET", "/api/v1/apps/bank/push-credentials", auth=served.admin)).status == 200
        assert not opening.done()
    answer = await opening
    assert (answer.status, answer.body["violations"][0]["fieldName"]) == (400, "p12"), answer.body


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        ("301306072a8648ce3d020106082a8648ce3d030107", "301306072a8648ce3d020106082a8648ce3d030163"),  # the curve
        ("301306072a8648ce3d020106082a8648ce3d030107", "301306072a8648ce3d026306082a8648ce3d030107"),  # the kind of key
        ("a003020102", "a00302010a"),  # the version
    ],
)
def test_a_damaged_certificate_is_a_refusal(found: str, instead: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = certificate(key=key).public_bytes(Encoding.DER).hex()
    assert found in der
    damaged = base64.encodebytes(bytes.fromhex(der.replace(found, instead)))
    both = b"-----BEGIN CERTIFICATE-----\n" + damaged + b"-----END CERTIFICATE-----\n" + pem(key)
    assert refused({"certificate": base64_of(both)})[0] == "certificate"


def test_the_point_of_a_certificate_may_lie_beside_the_curve() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = certificate(key=key).public_bytes(Encoding.DER)
    at = der.index(bytes.fromhex("03420004")) + 4
    damaged = base64.encodebytes(der[:at] + b"\xff" * 32 + der[at + 32 :])
    both = b"-----BEGIN CERTIFICATE-----\n" + damaged + b"-----END CERTIFICATE-----\n" + pem(key)
    assert refused({"certificate": base64_of(both)})[0] == "certificate"
