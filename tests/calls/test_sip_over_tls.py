"""The TLS listener of SIP: a renewed certificate, old versions of TLS, certificates of whoever connects."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.testing.certificates import Authority
from tests.calls.ports import free_port
from tests.calls.scene import Scene, until


class Listening:
    """A server of which the certificate's files can be changed."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "authority")
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.port = free_port()
        self.put("first")

    def put(self, name: str) -> None:
        """A certificate of this authority is in the files."""
        files = self.authority.server(file=name)
        shutil.copy(files.key, self.key)
        shutil.copy(files.certificate, self.certificate)

    def context(self) -> ssl.SSLContext:
        """Who trusts the authority."""
        return ssl.create_default_context(cafile=str(self.authority.file))

    async def shown(self, context: ssl.SSLContext) -> bytes:
        """The certificate that somebody sees who connects, and is answered there."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        try:
            writer.write(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\r\n"
            return bytes(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@pytest.fixture
async def listening(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Listening]:
    made = Listening(tmp_path)
    tls = {"sip_tls_listen": f"127.0.0.1:{made.port}", "tls_certificate": made.certificate, "tls_key": made.key}
    async with Scene.start(tmp_path, sqlite_url, sip_mode="embedded", **tls):
        yield made


async def test_a_renewed_certificate_is_shown_without_a_restart(listening: Listening) -> None:
    first = await listening.shown(listening.context())
    listening.put("renewed")

    async def is_shown() -> bool:
        return await listening.shown(listening.context()) != first

    await until(is_shown)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_versions_of_tls_are_refused(listening: Listening) -> None:
    context = listening.context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        await listening.shown(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await listening.shown(context)


async def test_a_certificate_of_whoever_connects_is_not_asked_for(listening: Listening, tmp_path: Path) -> None:
    context = listening.context()
    theirs = Authority(tmp_path / "theirs").server(file="theirs")
    context.load_cert_chain(theirs.certificate, theirs.key)
    assert await listening.shown(context)
