"""Making a connection: names, addresses, certificates, proxies. Whatever fails here, the request was not sent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from ringback.errors import DestinationNotAllowed
from ringback.http2 import NotSent, Pool, Request
from ringback.testing.certificates import Authority
from tests.egress.servers import connect_proxy, listening
from tests.http2.conftest import MakePool
from tests.http2.server import LIMIT, Peer, Received, scripted, until
from tests.peers.server import free_port

REQUEST = Request(b"/x", (), b"x")


async def refused(pool: Pool, *, seconds: float = 60) -> NotSent:
    with pytest.raises(NotSent) as caught:
        await pool.send(REQUEST, timeout_seconds=seconds)
    assert caught.value.connection_failed
    assert "127.0.0.1" not in caught.value.reason
    return caught.value


async def test_a_closed_port_is_told_at_once_to_everybody_who_waits(make_pool: MakePool) -> None:
    pool = make_pool(free_port())
    outcomes = await asyncio.gather(
        *[pool.send(REQUEST, timeout_seconds=600) for _ in range(50)], return_exceptions=True
    )
    assert {str(outcome) for outcome in outcomes} == {"the connection was refused"}
    assert {type(outcome) for outcome in outcomes} == {NotSent}
    assert len({id(outcome) for outcome in outcomes}) == 50
    assert pool.statistics().dialed == 1


async def test_after_a_failure_dialing_pauses_except_for_urgent_requests(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    port = free_port()
    pool = make_pool(port, longest_pause_seconds=600)
    for _ in range(16):
        with contextlib.suppress(NotSent):
            await pool.send(REQUEST, timeout_seconds=60, urgent=True)
    dialed = pool.statistics().dialed
    assert dialed == 16
    assert (await refused(pool)).reason == "the connection was refused"
    assert pool.statistics().dialed == dialed, "in the pause it is told without another attempt"
    async with scripted(server_tls) as server:
        pool._way = msgspec.structs.replace(
            pool._way, port=server.port
        )  # there it is again, as far as the pool can see
        assert (await pool.send(REQUEST, timeout_seconds=60, urgent=True)).status == 200
        assert (await pool.send(REQUEST, timeout_seconds=60)).status == 200


async def test_a_pool_that_cannot_grow_goes_on_with_what_it_has(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, settings={LIMIT: 1}) as server:
        pool = make_pool(server.port)
        await pool.send(REQUEST, timeout_seconds=60)
        pool._way = msgspec.structs.replace(pool._way, port=free_port())
        later: list[tuple[Peer, Received]] = []
        server.on_request = lambda peer, request: later.append((peer, request))
        sent = [
            asyncio.ensure_future(pool.send(REQUEST, timeout_seconds=60, urgent=bool(number % 2)))
            for number in range(20)
        ]
        await until(lambda: pool.statistics().dials_failed >= 2)
        assert pool.statistics().dials_failed < 10, "it pauses between attempts, even while urgent requests wait"
        server.on_request = lambda peer, request: peer.reply(request.stream)
        for peer, request in later:
            peer.reply(request.stream)
        assert {answer.status for answer in await asyncio.gather(*sent)} == {200}
        assert len(server.peers) == 1


async def test_a_server_that_is_silent_after_tls_is_not_waited_for(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, speaks=False) as server:
        pool = make_pool(server.port, connect_seconds=3)  # TLS has to be there before it is over
        assert (await refused(pool)).reason == "no connection in time"
        await server.until(lambda: server.peers[0].closed)


async def test_a_server_that_is_silent_before_tls_is_not_waited_for(make_pool: MakePool) -> None:
    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        pool = make_pool(server.sockets[0].getsockname()[1], connect_seconds=0.4)
        assert (await refused(pool)).reason == "no connection in time"
    finally:
        server.close()


async def test_the_deadline_of_a_request_is_kept_while_a_connection_is_made(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, speaks=False) as server:
        pool = make_pool(server.port, connect_seconds=30)
        assert (await refused(pool, seconds=0.2)).reason == "no place before the deadline"


async def test_a_server_without_tls_is_refused(make_pool: MakePool) -> None:
    async with scripted(None) as server:
        assert (await refused(make_pool(server.port))).reason.startswith("TLS refused")


async def test_a_server_that_closes_in_the_handshake_is_refused(make_pool: MakePool) -> None:
    async with _closing() as port:
        await refused(make_pool(port))


@pytest.mark.parametrize("protocols", [["http/1.1"], []])
async def test_a_server_that_does_not_speak_http2_is_refused(
    make_pool: MakePool, server_files: tuple[Path, Path], protocols: list[str]
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*server_files)
    if protocols:
        tls.set_alpn_protocols(protocols)
    async with scripted(tls, speaks=False) as server:
        assert (await refused(make_pool(server.port))).reason == "it does not speak HTTP/2"


async def test_a_certificate_of_another_authority_is_refused(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port, tls=ssl.create_default_context())
        assert (await refused(pool)).reason == "the certificate is not trusted for this name"


async def test_a_certificate_for_another_name_is_refused(make_pool: MakePool, authority: Authority) -> None:
    files = authority.server(["elsewhere.example"], file="elsewhere")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    tls.set_alpn_protocols(["h2"])
    async with scripted(tls) as server:
        assert (await refused(make_pool(server.port))).reason == "the certificate is not trusted for this name"


async def test_the_name_is_what_tls_proves_and_the_authority_says(make_pool: MakePool, authority: Authority) -> None:
    files = authority.server(["push.example"], file="push")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    tls.set_alpn_protocols(["h2"])

    async def resolve(host: str, port: int) -> list[str]:
        assert (host, port) == ("push.example", server.port)
        return ["127.0.0.1"]

    async with scripted(tls) as server:
        pool = make_pool(server.port, host="push.example", resolve=resolve)
        assert (await pool.send(REQUEST, timeout_seconds=60)).status == 200
        assert server.received[0].headers[b":authority"] == b"push.example:%d" % server.port


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_is_shown_and_without_it_nothing_was_sent(
    make_pool: MakePool, server_tls: ssl.SSLContext, authority: Authority, version: ssl.TLSVersion
) -> None:
    server_tls.minimum_version = server_tls.maximum_version = version
    server_tls.verify_mode = ssl.CERT_REQUIRED
    server_tls.load_verify_locations(authority.file)
    files = authority.client("com.example.bank")
    tls = ssl.create_default_context(cafile=str(authority.file))
    tls.load_cert_chain(files.certificate, files.key)
    async with scripted(server_tls) as server:
        assert (await make_pool(server.port, tls=tls).send(REQUEST, timeout_seconds=60)).status == 200
        assert server.peers[0].transport.get_extra_info("peercert")["subject"][0][0][1] == "com.example.bank"
        await refused(make_pool(server.port))
        assert len(server.received) == 1


async def test_every_address_is_checked_before_it_is_called(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    asked: list[tuple[str, int]] = []

    def check(address: str, port: int) -> None:
        asked.append((address, port))
        if address != "127.0.0.1":
            raise DestinationNotAllowed

    async with scripted(server_tls) as server:
        pool = make_pool(server.port, check_address=check, resolve=_names("127.0.0.2", "127.0.0.1"))
        assert (await pool.send(REQUEST, timeout_seconds=60)).status == 200
        assert asked == [("127.0.0.2", server.port), ("127.0.0.1", server.port)]
        pool = make_pool(server.port, check_address=check, resolve=_names("127.0.0.2"))
        error = await refused(pool)
        assert isinstance(error.__cause__, DestinationNotAllowed)
        assert error.reason == "this address may not be called"
        assert len(server.peers) == 1


async def test_the_next_address_is_tried_when_one_does_not_answer(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port, resolve=_names("::1", "127.0.0.1"))
        assert (await pool.send(REQUEST, timeout_seconds=60)).status == 200


async def test_a_name_that_does_not_resolve_is_told(make_pool: MakePool) -> None:
    assert (await refused(make_pool(443, host="nowhere.invalid"))).reason == "the name could not be resolved"
    assert (await refused(make_pool(443, host="x" * 100))).reason == "the name could not be resolved"
    assert (await refused(make_pool(443, host="x.example", resolve=_names()))).reason == "no connection could be made"


async def test_a_proxy_is_asked_for_a_tunnel(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls) as server, connect_proxy() as proxy:
        pool = make_pool(server.port, host="localhost", proxy=f"http://user:pa%20ss@127.0.0.1:{proxy.port}")
        assert (await pool.send(REQUEST, timeout_seconds=60)).status == 200
        lines = proxy.heads[0].decode().split("\r\n")
        assert lines[0] == f"CONNECT localhost:{server.port} HTTP/1.1"
        assert "Proxy-Authorization: Basic dXNlcjpwYSBzcw==" in lines
        assert server.received[0].headers[b":authority"] == b"localhost:%d" % server.port


async def test_with_checked_addresses_the_proxy_is_given_the_address(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls) as server, connect_proxy() as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        pool = make_pool(
            server.port, host="localhost", proxy=url, check_address=lambda *_: None, resolve=_names("127.0.0.1")
        )
        assert (await pool.send(REQUEST, timeout_seconds=60)).status == 200
        assert proxy.heads[0].startswith(b"CONNECT 127.0.0.1:%d " % server.port)

        def no(_address: str, _port: int) -> None:
            raise DestinationNotAllowed

        pool = make_pool(server.port, host="localhost", proxy=url, check_address=no)
        assert (await refused(pool)).reason == "this address may not be called"
        assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy refused: 407"),
        (b"HTTP/1.1 502 Bad Gateway\r\nX: y\r\n\r\n", "the proxy refused: 502"),
        (b"nonsense\r\n\r\n", "the proxy refused: no status"),
        (b"x" * 20_000, "the proxy did not answer as one"),
    ],
)
async def test_a_proxy_that_refuses_is_named(make_pool: MakePool, answer: bytes, reason: str) -> None:
    async with listening(answer) as proxy:
        pool = make_pool(443, host="push.example", proxy=f"http://127.0.0.1:{proxy.port}")
        assert (await refused(pool)).reason == reason


async def test_a_proxy_that_is_silent_is_not_waited_for(make_pool: MakePool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        pool = make_pool(443, host="push.example", proxy=url, connect_seconds=0.3)
        assert (await refused(pool)).reason == "no connection in time"


@pytest.mark.parametrize("url", ["https://proxy.example:8080", "proxy.example:8080", "http://proxy.example", "http://"])
def test_a_proxy_is_written_as_a_url_with_a_port(url: str) -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        Pool(host="x.example", port=443, tls=ssl.create_default_context(), proxy=url)


async def test_a_pool_closed_while_dialing_tells_those_who_wait(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls, speaks=False) as server:
        pool = make_pool(server.port, connect_seconds=60)
        sent = asyncio.ensure_future(pool.send(REQUEST, timeout_seconds=60))
        await until(lambda: pool.statistics().dialing)
        await pool.close()
        with pytest.raises(NotSent, match="closed"):
            await sent


def _names(*addresses: str) -> Callable[[str, int], object]:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolve


@contextlib.asynccontextmanager
async def _closing() -> AsyncIterator[int]:
    """A server that hangs up."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
