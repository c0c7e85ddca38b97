"""The connection between a real Kamailio and the application server breaks while a call waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback import server_sip
from ringback.protocols.sip.subscription import LINGER_SECONDS
from ringback.sip import SipEndpoint, Subscriptions
from ringback.testing.certificates import Authority
from tests.calls.kamailio import Kamailio
from tests.calls.ports import free_port
from tests.calls.scene import Scene, until
from tests.calls.sipp import register, run_sipp, sipp


class Cable:
    """A line of TCP to one target, which can be cut; then a new connection may be made."""

    def __init__(self, target: str) -> None:
        self._target = target.rsplit(":", 1)
        self._open: set[asyncio.StreamWriter] = set()
        self.address = ""

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(target: str) -> AsyncIterator[Cable]:
        """`target`: HOST:PORT."""
        cable = Cable(target)
        server = await asyncio.start_server(cable._joined, "127.0.0.1", 0)
        cable.address = "{}:{}".format(*server.sockets[0].getsockname())
        try:
            yield cable
        finally:
            server.close()
            cable.cut()

    def cut(self) -> None:
        """Both ends hear of it at once."""
        for writer in self._open:
            writer.transport.abort()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError):  # nobody listens there yet
            there, to = await asyncio.open_connection(*self._target)
            self._open.add(to)
            await asyncio.gather(_pass(reader, to), _pass(there, writer))
            self._open.discard(to)
        self._open.discard(writer)
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()


@contextlib.asynccontextmanager
async def _cuttable(
    folder: Path, database_url: str, transport: str, certified: str, *, is_trusted: bool
) -> AsyncIterator[tuple[Scene, Kamailio, Cable]]:
    """`certified`: what the proxy's certificate is for. No `sip_proxy`: it is the proxy that connects."""
    authority = Authority(folder / "authority")
    files, proxy_files = authority.server(), authority.server([certified], file="proxy")
    address = f"127.0.0.1:{free_port()}"
    settings: dict[str, Any] = {"sip_listen": address}
    if transport == "tls":
        settings = {"sip_tls_listen": address, "tls_certificate": files.certificate, "tls_key": files.key}
        if is_trusted:
            settings["sip_ca_file"] = authority.file
    (folder / "kamailio").mkdir()
    tls = (proxy_files.certificate, proxy_files.key)
    async with Cable.start(address) as cable:
        server = f"{cable.address};transport={transport}"
        async with (
            Kamailio.start(folder / "kamailio", [server], tls=tls, tls_ca=str(authority.file)) as proxy,
            Scene.start(folder, database_url, **settings) as scene,
        ):
            await proxy.until_server(server, alive=True)
            yield scene, proxy, cable


@pytest.mark.parametrize(
    ("transport", "certified"), [("tcp", "proxy.example.org"), ("tls", "127.0.0.1"), ("tls", "proxy.example.org")]
)
async def test_the_call_goes_on(tmp_path: Path, sqlite_url: str, transport: str, certified: str) -> None:
    async with _cuttable(tmp_path, sqlite_url, transport, certified, is_trusted=True) as (scene, proxy, cable):
        (token,) = await scene.subscriber()
        async with sipp(tmp_path, "phone", proxy.address) as phone:
            calling = asyncio.create_task(run_sipp(tmp_path, "caller", proxy.address))
            await scene.pushed(token)
            await asyncio.sleep(0.2)  # the 183 is through
            cable.cut()
            await register(tmp_path, proxy.address, "bob", phone.contact("bob"))
            call = await calling
        assert call.successful == 1, (call.statuses, call.errors)
        record = await scene.record()
        assert record.outcome == "DEFLECTED"
        assert "caller not answered" not in record.steps


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_the_subscription_ends_too(
    tmp_path: Path, sqlite_url: str, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Subscriptions] = []

    class Known(Subscriptions):
        def __init__(self, endpoint: SipEndpoint) -> None:
            super().__init__(endpoint)
            made.append(self)

    monkeypatch.setattr(server_sip, "Subscriptions", Known)
    async with _cuttable(tmp_path, sqlite_url, transport, "127.0.0.1", is_trusted=True) as (scene, proxy, cable):
        (token,) = await scene.subscriber()
        async with sipp(tmp_path, "phone", proxy.address) as phone:
            calling = asyncio.create_task(run_sipp(tmp_path, "caller", proxy.address))
            await scene.pushed(token)
            (subscriptions,) = made
            assert len(subscriptions) == 1
            cable.cut()
            await register(tmp_path, proxy.address, "bob", phone.contact("bob"))
            await calling
        # The proxy says that it is terminated. One of which nothing is heard any more is remembered for longer.
        await until(lambda: not len(subscriptions), seconds=LINGER_SECONDS / 2)


async def test_a_proxy_that_is_not_trusted_gets_no_answer_and_the_record_says_so(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with _cuttable(tmp_path, sqlite_url, "tls", "127.0.0.1", is_trusted=False) as (scene, proxy, cable):
        (token,) = await scene.subscriber(mobile_push_expiry=5)
        async with sipp(tmp_path, "caller_refused", proxy.address, status=408):
            await scene.pushed(token)
            cable.cut()

            async def is_told() -> bool:
                return "caller not answered" in (await scene.record()).steps

            await until(is_told)
            assert "certificate is not trusted" in (await scene.record()).step("caller not answered")["reason"]
