"""TLS: a new certificate is served without a restart, and a broken one is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import subprocess
from pathlib import Path

import pytest
import structlog.testing
from cryptography import x509

from ringback.errors import StartRefused
from ringback.http.listener import Certificate
from tests.contract.raw import request_bytes
from tests.http.listening import listening
from tests.http.small_app import AUTHORIZATION, small_app


class Files:
    """A certificate and its key, made by openssl as an operator would."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self._stamp = 1_000_000_000

    def issue(self, serial: int) -> None:
        """Replaces both."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
             "-set_serial", str(serial), "-keyout", str(self.key), "-out", str(self.certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        self.touch()

    def touch(self) -> None:
        """A new modification time, however coarse the file system's clock is."""
        self._stamp += 10
        for path in (self.certificate, self.key):
            os.utime(path, (self._stamp, self._stamp))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    made.issue(1001)
    return made


def trusting_nobody() -> ssl.SSLContext:
    """A client that looks at any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def serial_seen(port: int) -> int:
    """The serial number that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting_nobody())
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(shown).serial_number


async def test_new_certificate_is_served_and_old_connections_live_on(files: Files) -> None:
    certificate = Certificate(str(files.certificate), str(files.key))
    async with listening(small_app(), certificate) as port:
        assert await serial_seen(port) == 1001
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting_nobody())
        assert not certificate.reload_if_changed()

        files.issue(1002)
        assert certificate.reload_if_changed()
        assert not certificate.reload_if_changed()
        assert await serial_seen(port) == 1002

        writer.write(request_bytes("GET", "/powerauth-cloud/seen", AUTHORIZATION))
        assert b" 200 " in await reader.readline()
        writer.close()


async def test_watch_finds_the_new_certificate_by_itself(files: Files) -> None:
    certificate = Certificate(str(files.certificate), str(files.key))
    async with listening(small_app(), certificate) as port:
        watching = asyncio.create_task(certificate.watch())
        files.issue(1003)
        async with asyncio.timeout(60):
            while await serial_seen(port) != 1003:  # noqa: ASYNC110 - it is the network that is watched
                await asyncio.sleep(0.05)
        watching.cancel()


@pytest.mark.parametrize("broken", ["garbage", "empty", "gone", "other key", "half"])
async def test_a_broken_new_certificate_leaves_the_old_one(files: Files, tmp_path: Path, broken: str) -> None:
    certificate = Certificate(str(files.certificate), str(files.key))
    async with listening(small_app(), certificate) as port:
        good = files.certificate.read_bytes()
        if broken == "gone":
            files.certificate.unlink()
        elif broken == "other key":
            elsewhere = tmp_path / "other"
            elsewhere.mkdir()
            other = Files(elsewhere)
            other.issue(7)
            files.key.write_bytes(other.key.read_bytes())
            files.touch()
        else:
            files.certificate.write_bytes({"garbage": b"not PEM", "empty": b"", "half": good[: len(good) // 2]}[broken])
            files.touch()
        assert not certificate.reload_if_changed()
        assert await serial_seen(port) == 1001

        files.issue(1004)  # and when it is whole again, it is taken
        assert certificate.reload_if_changed()
        assert await serial_seen(port) == 1004


def test_a_broken_new_certificate_is_told_once(files: Files) -> None:
    certificate = Certificate(str(files.certificate), str(files.key))
    for number in (1005, 1006):
        files.certificate.write_bytes(b"not PEM")
        files.touch()
        with structlog.testing.capture_logs() as told:
            for _ in range(3):  # once a second
                assert not certificate.reload_if_changed()
        assert [one["log_level"] for one in told] == ["warning"]
        files.issue(number)
        assert certificate.reload_if_changed()


def test_a_certificate_that_cannot_be_used_stops_the_start(files: Files) -> None:
    for certificate, key in (("/nonexistent.pem", str(files.key)), (str(files.key), str(files.certificate))):
        with pytest.raises(StartRefused, match=r"RINGBACK_TLS_CERTIFICATE"):
            Certificate(certificate, key)


async def test_passwords_and_old_protocol_versions(files: Files) -> None:
    async with listening(small_app(), Certificate(str(files.certificate), str(files.key))) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting_nobody())
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        writer.write(request_bytes("GET", "/powerauth-cloud/seen", AUTHORIZATION))
        assert b" 200 " in await reader.readline()
        writer.close()

        old = trusting_nobody()
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)


async def test_plain_http_on_a_tls_listener_gets_nothing(files: Files) -> None:
    async with listening(small_app(), Certificate(str(files.certificate), str(files.key))) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes("GET", "/powerauth-cloud/seen", AUTHORIZATION))
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                assert b"HTTP/1.1 200" not in await reader.read()
        writer.close()
        assert await serial_seen(port) == 1001


async def test_whoever_says_nothing_before_tls_is_counted(files: Files) -> None:
    async with listening(small_app(), Certificate(str(files.certificate), str(files.key)), max_connections=6) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting_nobody())
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        endings = asyncio.as_completed([ended(one) for one, _ in silent], timeout=60)
        for _ in range(20 - 5):
            await next(endings)
        writer.write(request_bytes("GET", "/", AUTHORIZATION))
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 ")
        for _, one in [(reader, writer), *silent]:
            one.close()
        await asyncio.gather(*endings)


async def ended(reader: asyncio.StreamReader) -> None:
    """When the other side has closed."""
    with contextlib.suppress(ConnectionError):
        await reader.read()
