"""APNs certificates as developers have them, checked: PEM files, Apple's .cer, or a .p12 of the Keychain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ringback.apps.key_files import TOO_SLOW, check_bundle_id, check_work, decoded, pem_of, private_key
from ringback.apps.slow_keys import TooSlow, open_p12
from ringback.errors import invalid_field
from ringback.protocols.apns_certificate import VOIP, environment_of, topics_of, user_id_of
from ringback.protocols.der import DerMalformed
from ringback.push import ApnsCertificate, Environment

MAX_TOPICS = 100


@dataclass(frozen=True)
class Wish:
    """What the request says beside the files.

    `bundle_id`: which of the topics is the app; None = the certificate's first. `environment`: where push tokens go
    that do not say so themselves.
    """

    bundle_id: str | None = None
    environment: Environment | None = None


def apns_certificate(certificate: str, key: str | None, password: str, wish: Wish, now_ms: int) -> ApnsCertificate:
    """From files in Base64: the certificate in PEM, others of its chain with it, or in DER as Apple's `aps.cer` is.

    `key`: None = `certificate` holds both. `password`: of the key, where it is encrypted. Raises InvalidRequest that
    names the field.
    """
    data = decoded(certificate, "certificate")
    try:
        is_pem = b"-----BEGIN" in data
        chain = x509.load_pem_x509_certificates(data) if is_pem else [x509.load_der_x509_certificate(data)]
    except (ValueError, x509.InvalidVersion) as error:
        raise invalid_field("certificate", "This is no certificate in PEM or DER.") from error
    field = "certificate" if key is None else "privateKey"
    opened = private_key(data if key is None else decoded(key, field), field, password)
    return _checked(chain, opened, ("certificate", field), wish, now_ms)


def apns_p12(p12: str, password: str, wish: Wish, now_ms: int) -> ApnsCertificate:
    """From a .p12 file in Base64. Raises InvalidRequest that names the field."""
    data = decoded(p12, "p12")
    try:
        check_work(data, "p12")
        opened = open_p12(data, password)
    except DerMalformed as error:
        raise invalid_field("p12", "This is no .p12 file, or one that is not DER. Export it anew.") from error
    except TooSlow as error:
        raise invalid_field("p12", TOO_SLOW) from error
    if opened.error == "unsupported":
        raise invalid_field("p12", "It is encrypted in a way that is not known here. Export it anew.")
    if opened.error is not None:
        if _looks_like_p12(data):
            raise invalid_field("password", "It does not open the .p12 file, or the file is damaged.")
        raise invalid_field("p12", "This is no .p12 file.")
    if opened.key is None or not opened.certificates:
        raise invalid_field("p12", "It must hold a certificate and its private key.")
    try:
        chain = [x509.load_pem_x509_certificate(one.encode()) for one in opened.certificates]
    except (ValueError, x509.InvalidVersion) as error:
        raise invalid_field("p12", "A certificate in it is damaged.") from error
    key = private_key(opened.key.encode(), "p12")
    return _checked(chain, key, ("p12", "p12"), wish, now_ms)


def _checked(
    chain: list[x509.Certificate], key: Any, fields: tuple[str, str], wish: Wish, now_ms: int
) -> ApnsCertificate:
    """What a certificate has to pass wherever it came from; `fields`: of the certificate, of the key."""
    leaf = _of_key(chain, key, fields)
    topics, only = _what_it_serves(leaf, fields[0])
    begins, ends = (round(at.timestamp() * 1000) for at in (leaf.not_valid_before_utc, leaf.not_valid_after_utc))
    if now_ms >= ends:
        raise invalid_field(fields[0], f"The certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}.")
    if now_ms < begins:
        raise invalid_field(fields[0], f"The certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}.")
    if wish.environment is not None and only not in {None, wish.environment}:
        raise invalid_field("environment", f"The certificate is for {only} only.", wish.environment)
    if wish.bundle_id is not None and wish.bundle_id not in topics:
        raise invalid_field("bundleId", f"The certificate is for {', '.join(topics)}.", wish.bundle_id)
    return ApnsCertificate(
        certificate_pem="".join(
            one.public_bytes(Encoding.PEM).decode() for one in (leaf, *(one for one in chain if one is not leaf))
        ),
        private_key_pem=pem_of(key),
        topics=topics,
        bundle_id=wish.bundle_id or topics[0].removesuffix(VOIP),
        not_after=ends,
        environment=only or wish.environment,
    )


def _of_key(chain: list[x509.Certificate], key: Any, fields: tuple[str, str]) -> x509.Certificate:
    """The certificate that the key belongs to; in a file with a chain it may stand anywhere."""
    wanted = _public(key)
    for one in chain:
        try:
            if _public(one) == wanted:
                return one
        except (ValueError, UnsupportedAlgorithm) as error:
            raise invalid_field(fields[0], "The certificate's public key is damaged, or of an unknown kind.") from error
    raise invalid_field(fields[1], "The private key is not the one of the certificate.")


def _what_it_serves(leaf: x509.Certificate, field: str) -> tuple[tuple[str, ...], Environment | None]:
    """Its topics, the app's first, and its only environment."""
    try:
        user_id, topics, environment = user_id_of(leaf), topics_of(leaf), environment_of(leaf)
    except ValueError as error:
        raise invalid_field(field, "Apple's extensions in the certificate cannot be read.") from error
    if user_id is None:
        raise invalid_field(field, "This is no APNs certificate: its subject has no UID, the app's bundle id.")
    if len(topics) > MAX_TOPICS:
        raise invalid_field(field, f"The certificate has more than {MAX_TOPICS} topics.")
    for topic in topics:
        check_bundle_id(topic, field)
    return topics, environment


def _public(holder: Any) -> bytes:
    public: bytes = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public


def _looks_like_p12(data: bytes) -> bool:
    """PFX ::= SEQUENCE { version INTEGER 3, … } (RFC 7292 §4)."""
    return data[:1] == b"\x30" and b"\x02\x01\x03\x30" in data[:12]
