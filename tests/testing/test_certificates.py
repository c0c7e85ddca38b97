"""The authority made on the spot: real OpenSSL agrees with its certificates, and only the owner reads the files."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from ringback.protocols.apns_certificate import environment_of, topics_of, user_id_of
from ringback.testing import ApnsDouble, ApnsKey, Authority, CertificateFiles, FcmDouble
from tests.testing.client import Client

TOPIC = "com.example.app"


def _openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=True)
    return done.stdout


def _read(files: CertificateFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes())


def test_openssl_verifies_what_the_authority_signs(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for files, purpose in ((authority.server(), "sslserver"), (authority.client(TOPIC), "sslclient")):
        said = _openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", authority.file, files.certificate)
        assert said.strip().endswith("OK")
    said = _openssl("x509", "-in", authority.server().certificate, "-noout", "-ext", "subjectAltName")
    assert "IP Address:127.0.0.1, DNS:localhost" in said


def test_only_the_owner_reads_the_files(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "new")
    authority.server()
    authority.client(TOPIC)
    ApnsKey(tmp_path / "new")
    files = list((tmp_path / "new").iterdir())
    assert len(files) == 8
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_client_certificate_is_like_those_of_apple(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate = _read(authority.client(TOPIC))
    assert user_id_of(certificate) == TOPIC
    assert topics_of(certificate) == (TOPIC, f"{TOPIC}.voip")
    assert environment_of(certificate) is None
    sandbox = _read(authority.client(TOPIC, topics=("a.b", "c" * 200), production=False))
    assert (topics_of(sandbox), environment_of(sandbox)) == ((TOPIC, "a.b", "c" * 200), "development")


@pytest.mark.parametrize("password", ["", "secret"])
def test_it_comes_as_p12_too(tmp_path: Path, password: str) -> None:
    files = Authority(tmp_path).client(TOPIC, password=password)
    assert files.pkcs12 is not None
    key, certificate, _ = pkcs12.load_key_and_certificates(files.pkcs12.read_bytes(), password.encode() or None)
    assert certificate == _read(files)
    assert key is not None


def test_a_folder_keeps_its_authority_and_its_key(tmp_path: Path) -> None:
    first, again = Authority(tmp_path).file.read_bytes(), Authority(tmp_path).file.read_bytes()
    assert first == again
    assert ApnsKey(tmp_path).file.read_bytes() == ApnsKey(tmp_path).file.read_bytes()


async def test_a_folder_keeps_its_service_account(tmp_path: Path) -> None:
    accounts = []
    for _ in range(2):
        async with FcmDouble(tmp_path) as double:
            accounts.append(double.account.document)
            assert double.account.document["token_uri"] == double.token_url
    assert accounts[0]["private_key"] == accounts[1]["private_key"]


@pytest.mark.parametrize("fault", ["expired", "foreign"])
async def test_a_certificate_that_does_not_verify_is_refused_by_tls(
    apns: ApnsDouble, tmp_path: Path, fault: str
) -> None:
    foreign = Authority(tmp_path / "other").client(TOPIC)
    files = foreign if fault == "foreign" else apns.authority.client(TOPIC, days=-1)
    client = await Client.open(apns.url, apns.ca_file, files)  # in TLS 1.3 the client learns it after its handshake
    await client.until_lost()
    assert client.limits == []
    assert apns.handshakes == 0
