"""What developers get from Apple and Google, made here: keys, certificates, service accounts."""

from __future__ import annotations

import base64
import datetime as dt
import json
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from ringback.protocols.apns_certificate import topics_extension

BUNDLE_ID = "com.example.KitchenSink"
DAY = dt.timedelta(days=1)


def base64_of(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def pem(key: Any, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return made


@cache
def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def apns_form(**changed: Any) -> dict[str, Any]:
    """The JSON of the SDK's guide, with a key that is not damaged."""
    form = {"keyId": "73Q8JZND1V", "bundleId": BUNDLE_ID, "teamId": "D7A3215KHV", "keyFile": base64_of(pem(p256()))}
    return without_none({**form, **changed})


def service_account(**changed: Any) -> dict[str, Any]:
    account = {
        "type": "service_account",
        "project_id": "kitchensink-demo-app",
        "private_key_id": "77d9a16b1126e8bdceac494dd035ec40e9695c01",
        "private_key": pem(rsa_key()).decode(),
        "client_email": "firebase-adminsdk-i2kad@kitchensink-demo-app.iam.gserviceaccount.com",
        "client_id": "110472447764104300361",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
    }
    return without_none({**account, **changed})


def fcm_form(**changed: Any) -> dict[str, str]:
    return {"serviceAccount": base64_of(json.dumps(service_account(**changed), indent=2))}


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def certificate(
    user_id: str | None = BUNDLE_ID,
    *,
    topics: dict[str, str] | None = None,
    extensions: tuple[x509.ObjectIdentifier, ...] = (),
    begins: dt.timedelta = -DAY,
    ends: dt.timedelta = 300 * DAY,
    key: Any = None,
    raw_topics: x509.UnrecognizedExtension | None = None,
) -> x509.Certificate:
    """A certificate as Apple's push services have it, signed by itself."""
    now = dt.datetime.now(dt.UTC)
    names = [x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {user_id}")]
    if user_id is not None:
        names.append(x509.NameAttribute(NameOID.USER_ID, user_id))
    name = x509.Name(names)
    key = key or rsa_key()
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
    for kind in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(kind, b"\x05\x00"), critical=False)
    listed = raw_topics or (topics_extension(topics) if topics else None)
    if listed is not None:
        builder = builder.add_extension(listed, critical=False)
    return builder.sign(key, hashes.SHA256())


def certificate_pem(made: x509.Certificate) -> bytes:
    return made.public_bytes(Encoding.PEM)


def p12_of(made: x509.Certificate | None, key: Any = None, password: bytes = b"secret") -> str:
    """A .p12 file in Base64."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return base64_of(pkcs12.serialize_key_and_certificates(b"push", key, made, None, encryption))
