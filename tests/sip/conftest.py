"""Endpoints with real sockets, closed when a test is over."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import pytest
import uvloop

from ringback.sip import SipAddress, SipEndpoint, SipLimits, Timers
from ringback.testing.certificates import Authority
from tests.sip.peers import Handler, StreamPeer, UdpPeer

MakeEndpoint: TypeAlias = Callable[..., SipEndpoint]
MakePeer: TypeAlias = Callable[[SipAddress], Awaitable[UdpPeer]]
ON_BOTH_LOOPS = {"test_udp.py", "test_standstill.py", "test_streams.py", "test_floods_over_streams.py"}
SHORT = Timers(t1=0.02, t2=0.08, t4=0.04)
"""For tests that wait for the end of something: 64*T1 is 1.3 seconds."""


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server runs on uvloop; where sockets matter the tests run on asyncio's own loop as well."""
    if item.path.name in ON_BOTH_LOOPS:
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server_tls(authority: Authority) -> ssl.SSLContext:
    files = authority.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


@pytest.fixture
async def make_endpoint() -> AsyncIterator[MakeEndpoint]:
    """Makes one: `(handler, **limits_and_options)`, limits by their names, everything else is the endpoint's."""
    made: list[SipEndpoint] = []

    def make(handler: Any = None, **options: Any) -> SipEndpoint:
        limits = {name: options.pop(name) for name in list(options) if name in SipLimits.__struct_fields__}
        limits = {"messages_per_second": 0, **limits}
        options = {"name": "Ringback", **options}
        made.append(SipEndpoint(handler or Handler(), limits=SipLimits(**limits), **options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
async def peer_of() -> AsyncIterator[MakePeer]:
    """Opens a plain UDP socket that speaks to an address."""
    made: list[UdpPeer] = []

    async def make(to: SipAddress) -> UdpPeer:
        made.append(await UdpPeer.open(to))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[StreamPeer]]]:
    """Opens a connection to an address, with `tls` if that is given."""
    made: list[StreamPeer] = []

    async def make(to: SipAddress, **options: Any) -> StreamPeer:
        made.append(await StreamPeer.open(to, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
