"""A certificate authority made on the spot: server certificates for this machine, client certificates as Apple's.

Keys are EC P-256, every file has mode 0600. A folder that was used before keeps its authority, so that whoever trusts
`ca.pem` goes on trusting it.

Source: RFC 5280; the extensions of Apple's push certificates are those that its own certificates carry.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringback.protocols.apns_certificate import DEVELOPMENT, PRODUCTION, environment_of, topics_extension, topics_of

_DER_NULL = b"\x05\x00"
_ROLES = ("voip", "complication")


class CertificateFiles(msgspec.Struct, frozen=True):
    """Paths of a certificate, its key and its authority (PEM); `pkcs12` holds both, under `password`."""

    certificate: Path
    key: Path
    authority: Path
    pkcs12: Path | None = None
    password: str = ""


class Authority:
    """Signs. `folder` is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "ca.pem"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_file = folder / "ca.key"
        if self.file.exists() and key_file.exists():
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            self._key = key
            self._certificate = x509.load_pem_x509_certificate(self.file.read_bytes())
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Ringback test providers")
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        self._certificate = (
            _builder(name, name, self._key.public_key(), years=10)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        write_private(key_file, private_pem(self._key))
        write_private(self.file, self._certificate.public_bytes(serialization.Encoding.PEM))

    def server(
        self, names: Sequence[str] = ("127.0.0.1", "localhost", "::1"), *, file: str = "server"
    ) -> CertificateFiles:
        """A server certificate for these addresses and names."""
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_name(names[0]), self._certificate.subject, key.public_key())
            .add_extension(alternatives, critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        return self._issue(builder, key, file)

    def client(
        self,
        bundle_id: str,
        *,
        topics: Sequence[str] = (),
        sandbox: bool = True,
        production: bool = True,
        password: str = "",
        days: int = 397,
        file: str = "client",
    ) -> CertificateFiles:
        """A client certificate as Apple makes them for an app, as PEM and as .p12.

        The Subject's UID is the default topic; `topics` are all that it may push to, by default the bundle id and its
        `.voip`. A negative `days` makes one that has expired.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([
            x509.NameAttribute(NameOID.USER_ID, bundle_id),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {bundle_id}"),
        ])  # fmt: skip
        builder = _builder(subject, self._certificate.subject, key.public_key(), days=days)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        listed = {topic: _role(topic) for topic in topics or (bundle_id, f"{bundle_id}.voip")}
        builder = builder.add_extension(topics_extension(listed), critical=False)
        for wanted, identifier in ((sandbox, DEVELOPMENT), (production, PRODUCTION)):
            if wanted:
                builder = builder.add_extension(x509.UnrecognizedExtension(identifier, _DER_NULL), critical=False)
        return self._issue(builder, key, file, password=password, as_pkcs12=True)

    def _issue(
        self,
        builder: x509.CertificateBuilder,
        key: ec.EllipticCurvePrivateKey,
        file: str,
        *,
        password: str = "",
        as_pkcs12: bool = False,
    ) -> CertificateFiles:
        public = self._key.public_key()
        certificate = (
            builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        paths = (self.folder / f"{file}.pem", self.folder / f"{file}.key")
        write_private(paths[0], certificate.public_bytes(serialization.Encoding.PEM))
        write_private(paths[1], private_pem(key))
        if not as_pkcs12:
            return CertificateFiles(*paths, self.file)
        hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            hidden = serialization.BestAvailableEncryption(password.encode())
        packed = pkcs12.serialize_key_and_certificates(file.encode(), key, certificate, None, hidden)
        write_private(self.folder / f"{file}.p12", packed)
        return CertificateFiles(*paths, self.file, self.folder / f"{file}.p12", password)


class ClientCertificate(msgspec.Struct, frozen=True):
    """What APNs reads in a client certificate."""

    topics: tuple[str, ...]
    sandbox: bool
    production: bool


def read_client_certificate(der: bytes) -> ClientCertificate:
    """The topics and environments of a client certificate. One that cannot be read is good for no topic."""
    certificate = x509.load_der_x509_certificate(der)
    only = environment_of(certificate)
    try:
        topics = topics_of(certificate)
    except ValueError:
        topics = ()
    return ClientCertificate(topics, sandbox=only != "production", production=only != "development")


def read_der(file: Path) -> bytes:
    """The bytes of a certificate in a PEM file, as they cross the wire."""
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(serialization.Encoding.DER)


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner reads."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(content)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, as in a .p8 file of Apple."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, *, days: int = 397, years: int = 0
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)  # TLS compares with the machine's clock, so no other would do
    until = now + dt.timedelta(days=days + 365 * years)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, until) - dt.timedelta(days=1))
        .not_valid_after(until)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _role(topic: str) -> str:
    return next((role for role in _ROLES if topic.endswith(f".{role}")), "app")
