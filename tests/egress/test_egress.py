"""The way out, against real servers: what must not be called sees no connection, what is called cannot harm."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ringback.egress import Egress
from ringback.errors import DestinationNotAllowed, DestinationUnreachable
from tests.egress.servers import OK, Names, connect_proxy, listening

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "localhost",
    "127.0.0.1.",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::127.0.0.1]",
    "0.0.0.0",
    "169.254.169.254",
    "100.64.0.1",
    "10.0.0.1",
    "[fe80::1]",
    "[fd00::1]",
    "224.0.0.1",
    "255.255.255.255",
    "[2001:db8::1]",
    "[64:ff9b:1::7f00:1]",
]


@pytest.mark.parametrize("host", SPELLINGS)
async def test_a_forbidden_address_sees_no_connection_however_it_is_spelled(host: str) -> None:
    async with listening(host="127.0.0.1") as four, listening(host="::1") as six:
        for here in (four, six):
            egress = Egress(ports=[here.port])
            for scheme in ("http", "https"):
                with pytest.raises(DestinationNotAllowed) as refusal:
                    await egress.request("GET", f"{scheme}://{host}:{here.port}/", timeout_seconds=60)
                assert "127" not in refusal.value.message
            await egress.close()
        assert (four.connections, six.connections) == (0, 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1"])
async def test_a_name_that_leads_to_a_forbidden_address_sees_no_connection(address: str) -> None:
    async with listening() as here:
        egress = Egress(ports=[here.port], resolver=Names(address))
        with pytest.raises(DestinationNotAllowed):
            await egress.request("POST", f"https://innocent.example:{here.port}/", body=b"x")
        await egress.close()
        assert here.connections == 0


async def test_a_name_that_changes_its_address_after_the_first_look_gains_nothing() -> None:
    async with listening() as here:
        names = Names("93.184.215.14", "127.0.0.1")
        egress = Egress(ports=[here.port], resolver=names)
        with pytest.raises(DestinationUnreachable):  # the public address does not answer in this time
            await egress.request("GET", f"https://rebind.example:{here.port}/", timeout_seconds=0.3)
        with pytest.raises(DestinationNotAllowed):
            await egress.request("GET", f"https://rebind.example:{here.port}/", timeout_seconds=60)
        await egress.close()
        assert (names.asked, here.connections) == (2, 0)


async def test_an_allowed_network_is_reached_over_http_on_any_port() -> None:
    async with listening() as here:
        egress = Egress(allow=LOOPBACK)
        for host in ("127.0.0.1", "localhost"):
            answer = await egress.request("POST", f"http://{host}:{here.port}/a?b=c", body=b"{}", headers={"X-A": "1"})
            assert (answer.status, answer.body, answer.truncated) == (200, b"ok", False)
        await egress.close()
        head = here.heads[0].decode().lower()
        assert head.startswith("post /a?b=c http/1.1\r\n")
        assert "\r\nx-a: 1\r\n" in head
        assert "\r\naccept-encoding: identity\r\n" in head
        assert "cookie" not in head


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with listening() as inside:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n"
        async with listening(moved.encode()) as here:
            egress = Egress(allow=LOOPBACK)
            answer = await egress.request("GET", f"http://127.0.0.1:{here.port}/")
            await egress.close()
            assert answer.status == 302
            assert str(inside.port) in answer.headers["location"]
            assert inside.connections == 0


async def test_cookies_and_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with listening(answer) as here, listening() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        egress = Egress(allow=LOOPBACK)
        for _ in range(2):
            await egress.request("GET", f"http://localhost:{here.port}/")
        await egress.close()
        assert proxy.connections == 0
        assert b"cookie" not in here.heads[1].lower()


async def test_an_endless_answer_is_cut_and_not_read_further() -> None:
    sent = 0

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while True:
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    async with listening(pour) as here:
        egress = Egress(allow=LOOPBACK)
        answer = await egress.request("GET", f"http://127.0.0.1:{here.port}/", limit_bytes=100_000)
        await egress.close()
        assert (len(answer.body), answer.truncated) == (100_000, True)
        assert sent < 50_000_000


async def test_a_gzip_bomb_stays_small() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    async with listening(head.encode() + bomb) as here:
        egress = Egress(allow=LOOPBACK)
        answer = await egress.request("GET", f"http://127.0.0.1:{here.port}/")
        await egress.close()
        assert answer.body == bomb[:65_536]


async def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)
    writer.write(OK)


async def trickled_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-A: 1\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def trickled_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("speak", [never, trickled_head, trickled_body])
async def test_a_slow_answer_ends_with_the_time_for_everything(speak: Any) -> None:
    async with listening(speak) as here:
        egress = Egress(allow=LOOPBACK)
        with pytest.raises(DestinationUnreachable, match="in time"):
            await egress.request("GET", f"http://127.0.0.1:{here.port}/", timeout_seconds=0.5)
        await egress.close()


@pytest.mark.parametrize(
    "answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"SSH-2.0-x\r\n"]
)
async def test_an_answer_that_is_not_http_is_unreachable(answer: bytes) -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with listening(speak) as here:
        egress = Egress(allow=LOOPBACK)
        with pytest.raises(DestinationUnreachable):
            await egress.request("GET", f"http://127.0.0.1:{here.port}/", timeout_seconds=60)
        await egress.close()


async def test_a_closed_port_and_an_unknown_name_are_unreachable() -> None:
    async with listening() as here:
        port = here.port
    egress = Egress(allow=LOOPBACK)
    for host in ("127.0.0.1", "no-such-name.invalid"):
        with pytest.raises(DestinationUnreachable):
            await egress.request("GET", f"http://{host}:{port}/", timeout_seconds=60)
    await egress.close()


async def test_one_destination_does_not_take_all_connections() -> None:
    async with listening(never) as dead, listening() as here:
        egress = Egress(allow=LOOPBACK)
        waiting = [
            asyncio.create_task(egress.request("GET", f"http://127.0.0.1:{dead.port}/", timeout_seconds=10))
            for _ in range(300)
        ]
        while not dead.connections:  # noqa: ASYNC110 - it counts, and tells nobody
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert dead.connections <= 10
        assert (await egress.request("GET", f"http://127.0.0.1:{here.port}/", timeout_seconds=60)).status == 200
        assert not any(one.done() for one in waiting)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        await egress.close()
        assert all(isinstance(one, DestinationUnreachable) for one in results)


# TLS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for good.example in a folder, which is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            "2",
            "-subj",
            "/CN=good.example",
            "-addext",
            "subjectAltName=DNS:good.example",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context, and the one of a client that trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))


async def test_tls_proves_the_name(certificates: Path) -> None:
    server, client = contexts(certificates)
    async with listening(tls=server) as here:
        egress = Egress(allow=LOOPBACK, resolver=Names("127.0.0.1"), tls=client)
        assert (await egress.request("GET", f"https://good.example:{here.port}/")).status == 200
        with pytest.raises(DestinationUnreachable, match="certificate"):
            await egress.request("GET", f"https://wrong.example:{here.port}/")
        await egress.close()
        strict = Egress(allow=LOOPBACK, resolver=Names("127.0.0.1"))
        with pytest.raises(DestinationUnreachable, match="certificate"):
            await strict.request("GET", f"https://good.example:{here.port}/")
        await strict.close()


async def test_https_to_a_plain_server_is_unreachable() -> None:
    async with listening() as here:
        egress = Egress(allow=LOOPBACK)
        with pytest.raises(DestinationUnreachable):
            await egress.request("GET", f"https://127.0.0.1:{here.port}/", timeout_seconds=60)
        await egress.close()


# the CONNECT proxy ----------------------------------------------------------------------------------------------------


async def test_a_proxy_is_told_the_checked_address_and_tls_proves_the_name(certificates: Path) -> None:
    server, client = contexts(certificates)
    async with listening(tls=server) as here, connect_proxy() as proxy:
        egress = Egress(allow=LOOPBACK, resolver=Names("127.0.0.1"), tls=client, proxy=f"http://127.0.0.1:{proxy.port}")
        assert (await egress.request("GET", f"https://good.example:{here.port}/x")).status == 200
        with pytest.raises(DestinationUnreachable):
            await egress.request("GET", f"https://wrong.example:{here.port}/")
        await egress.close()
        assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{here.port} HTTP/1.1\r\n".encode())
        assert f"\r\nHost: good.example:{here.port}\r\n".encode() in here.heads[0]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1"])
async def test_a_proxy_is_never_asked_for_a_forbidden_address(address: str) -> None:
    async with listening() as here, connect_proxy() as proxy:
        egress = Egress(ports=[here.port], resolver=Names(address), proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(DestinationNotAllowed):
            await egress.request("GET", f"https://innocent.example:{here.port}/")
        await egress.close()
        assert (proxy.connections, here.connections) == (0, 0)


async def test_a_proxy_that_refuses_is_unreachable(certificates: Path) -> None:
    _, client = contexts(certificates)
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    async with listening(refusal) as proxy:
        egress = Egress(allow=LOOPBACK, resolver=Names("127.0.0.1"), tls=client, proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(DestinationUnreachable):
            await egress.request("GET", "https://good.example/")
        await egress.close()
