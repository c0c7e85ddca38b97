"""The connection that a request came over is gone: over TLS its answer goes only to whom it may."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from ringback.sip import IncomingRequest, SipAddress, SipEndpoint, SipUnreachable
from ringback.testing.certificates import Authority, CertificateFiles
from tests.sip.conftest import MakeEndpoint
from tests.sip.peers import Handler, StreamPeer, until, write
from tests.sip.requests import request_of

Connect = Callable[..., Awaitable[StreamPeer]]
ELSEWHERE = "proxy.example.org"


class Listening:
    """Where the sender of a request says that it listens."""

    def __init__(self) -> None:
        self.peers: list[StreamPeer] = []
        self.port = 0

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(files: CertificateFiles) -> AsyncIterator[Listening]:
        made = Listening()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        server = await asyncio.get_running_loop().create_server(made.accepted, "127.0.0.1", 0, ssl=context)
        made.port = server.sockets[0].getsockname()[1]
        yield made
        server.close()
        for peer in made.peers:
            if peer.port:  # TLS was agreed on
                peer.close()

    def accepted(self) -> StreamPeer:
        self.peers.append(StreamPeer())
        return self.peers[-1]


async def asked_and_lost(
    endpoint: SipEndpoint, handler: Handler, connect: Connect, server_tls: ssl.SSLContext, sent_by: str, count: int = 1
) -> list[IncomingRequest]:
    """INVITEs that came over TLS, by a connection that is gone now."""
    address = await endpoint.listen("tls", "127.0.0.1", 0, ssl=server_tls)
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    peer = await connect(address, tls=unchecked)
    for number in range(count):
        via = f"SIP/2.0/TLS {sent_by};branch=z9hG4bK{number}"
        peer.send(write("INVITE", via=via, call_id=f"call-{number}"))
    requests = [await handler.next(number + 1) for number in range(count)]
    peer.close()
    await until(lambda: not endpoint.connections)
    return requests


class Lost(NamedTuple):
    """An endpoint with INVITEs whose connection is gone, and where their sender listens."""

    endpoint: SipEndpoint
    requests: list[IncomingRequest]
    listening: Listening


Lose: TypeAlias = Callable[..., contextlib.AbstractAsyncContextManager[Lost]]


@pytest.fixture
def lose(
    make_endpoint: MakeEndpoint,
    connect: Connect,
    authority: Authority,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> Lose:
    """`lose(sent_by, certified)`: the host of their Via, and the name in the certificate of whoever listens there.

    `count`: of INVITEs. `vouching`: whose certificate that is. `has_back`: whether answers may go to addresses.
    """

    @contextlib.asynccontextmanager
    async def lost(
        sent_by: str, certified: str, *, count: int = 1, vouching: Authority = authority, has_back: bool = True
    ) -> AsyncIterator[Lost]:
        back = ssl.create_default_context(cafile=str(authority.file))
        back.check_hostname = False
        handler = Handler()
        endpoint = make_endpoint(handler, tls=client_tls, tls_back=back if has_back else None)
        async with Listening.start(vouching.server([certified], file="via")) as listening:
            via = f"{sent_by}:{listening.port}"
            requests = await asked_and_lost(endpoint, handler, connect, server_tls, via, count)
            yield Lost(endpoint, requests, listening)

    return lost


@pytest.mark.parametrize(("sent_by", "certified"), [("localhost", "localhost"), ("127.0.0.1", ELSEWHERE)])
async def test_it_goes_to_the_via_by_a_new_connection(lose: Lose, sent_by: str, certified: str) -> None:
    """A name is checked; of an address it is enough that our own authority vouches for whoever is there."""
    async with lose(sent_by, certified, count=5) as (endpoint, requests, listening):
        for incoming in requests:
            incoming.respond(302)
        await until(lambda: listening.peers and len(listening.peers[0].raw) == 5)
    assert len(listening.peers) == 1, "one connection for all"
    assert not endpoint.counters.refused


async def test_nothing_but_answers_goes_where_no_name_was_checked(lose: Lose) -> None:
    async with lose("127.0.0.1", ELSEWHERE) as (endpoint, requests, listening):
        requests[0].respond(302)
        await until(lambda: listening.peers and listening.peers[0].raw)
        with pytest.raises(SipUnreachable):
            await endpoint.send(request_of("MESSAGE"), SipAddress("tls", "127.0.0.1", listening.port))
        assert len(listening.peers[0].raw) == 1


@pytest.mark.parametrize(
    ("sent_by", "certified", "has_back", "is_ours"),
    [
        ("localhost", ELSEWHERE, True, True),
        ("127.0.0.1", ELSEWHERE, False, True),
        ("127.0.0.1", "127.0.0.1", True, False),
    ],
)
async def test_whoever_cannot_show_who_it_is_gets_nothing(
    lose: Lose, authority: Authority, tmp_path: Path, sent_by: str, certified: str, has_back: bool, is_ours: bool
) -> None:
    told: list[str] = []
    vouching = authority if is_ours else Authority(tmp_path / "another")
    async with lose(sent_by, certified, vouching=vouching, has_back=has_back) as (endpoint, requests, listening):
        requests[0].on_unsent = told.append
        requests[0].respond(183)
        requests[0].respond(302)
        await until(lambda: told)
        assert not any(peer.raw for peer in listening.peers)
    assert len(told) == 1, "of the final answer only"
    assert endpoint.counters.refused == {"unsendable": 2}
