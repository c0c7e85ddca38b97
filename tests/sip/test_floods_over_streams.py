"""Connections whose other side sends more than it may: it costs them more than us."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from ringback.testing.certificates import Authority
from tests.sip.conftest import MakeEndpoint
from tests.sip.peers import Handler, StreamPeer, until, write

Connect: TypeAlias = Callable[..., Awaitable[StreamPeer]]
VIA = "SIP/2.0/TCP 127.0.0.1:{port};branch={branch}"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and the one of who connects."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    files = authority.server()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(files.certificate, files.key)
    return ours, ssl.create_default_context(cafile=str(authority.file))


async def test_a_flood_of_pings_is_not_answered_one_by_one(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint()
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    peer.send(b"\r\n\r\n" * 50_000)
    peer.send(write("OPTIONS", via=VIA, port=peer.port))
    await until(lambda: peer.raw)
    assert 0 < peer.pongs < 5_000


async def test_who_sends_too_much_over_a_connection_is_read_slowly(
    make_endpoint: MakeEndpoint, connect: Connect
) -> None:
    endpoint = make_endpoint(messages_per_second=1, messages_at_once=2)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    flood = b"".join(
        write("OPTIONS", via=VIA, port=peer.port, branch=f"z9hG4bK{number}", call_id=f"{number}")
        for number in range(20_000)
    )
    peer.send(flood)
    await until(lambda: endpoint.counters.refused["rate"])
    assert endpoint.counters.refused["rate"] < 10_000, "what is left waits in the network"
    seen = endpoint.counters.refused["rate"]
    await until(lambda: endpoint.counters.refused["rate"] > seen)  # and it goes on


async def test_strangers_leave_room_for_the_proxy(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint(connections=2, connections_of_one=2, trusted=["127.0.0.9"])
    address = await endpoint.listen("tcp", "127.0.0.1", 0)
    peers = [await connect(address) for _ in range(3)]
    await until(lambda: any(peer.is_closed for peer in peers))
    assert endpoint.connections == 2
    loop = asyncio.get_running_loop()
    _, proxy = await loop.create_connection(StreamPeer, "127.0.0.1", address.port, local_addr=("127.0.0.9", 0))
    proxy.send(write("OPTIONS", via=VIA, port=proxy.port))
    await until(lambda: proxy.raw)
    proxy.close()


async def test_whoever_says_nothing_before_tls_is_one_of_few(
    make_endpoint: MakeEndpoint, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    ours, theirs = tls
    endpoint = make_endpoint(Handler(lambda incoming: incoming.respond(200)), connections_of_one=3)
    address = await endpoint.listen("tls", "127.0.0.1", 0, ssl=ours)
    silent = [await asyncio.open_connection("127.0.0.1", address.port) for _ in range(5)]
    await until(lambda: endpoint.counters.refused["connections"] == 2)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        await loop.create_connection(StreamPeer, "127.0.0.1", address.port, ssl=theirs, server_hostname="localhost")
    await until(lambda: endpoint.counters.refused["connections"] == 3)
    for _, writer in silent:
        writer.close()
    _, elsewhere = await loop.create_connection(
        StreamPeer, "127.0.0.1", address.port, ssl=theirs, server_hostname="localhost", local_addr=("127.0.0.8", 0)
    )
    elsewhere.send(write("MESSAGE", via=VIA.replace("TCP", "TLS"), port=elsewhere.port))
    await until(lambda: elsewhere.raw)
    elsewhere.close()
