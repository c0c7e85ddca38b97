"""Both backends, real TLS, and pools that are closed when a test is over."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
import uvloop

from ringback.http2 import Backend, Pool, PoolLimits
from ringback.testing.certificates import Authority

MakePool: TypeAlias = Callable[..., Pool]
ON_BOTH_LOOPS = {"test_answers.py", "test_dial.py"}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server runs on uvloop; where TLS and transports matter the tests run on asyncio's own loop as well."""
    if item.path.name in ON_BOTH_LOOPS:
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


def change_limits(pool: Pool, **changes: Any) -> None:
    """Other limits from now on, for the connections that there are as well."""
    pool._limits = msgspec.structs.replace(pool._limits, **changes)
    for connection in pool._open:
        connection._limits = pool._limits


def come_due(pool: Pool) -> None:
    """The deadline of everything that waits for an answer or for a place comes now."""
    under_way = [exchange for connection in pool._open for exchange in connection.streams.values()]
    for exchange in (*under_way, *pool._urgent, *pool._normal):
        pool._on_due(exchange)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server_files(authority: Authority) -> tuple[Path, Path]:
    files = authority.server()
    return files.certificate, files.key


@pytest.fixture
def server_tls(server_files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server_files)
    context.set_alpn_protocols(["h2"])
    return context


@pytest.fixture(params=["ngh2", "h2"])
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen: Backend = request.param
    return chosen


@pytest.fixture
async def make_pool(backend: Backend, authority: Authority) -> AsyncIterator[MakePool]:
    """`make_pool(port, **limits_and_options)`: limits by their names, everything else is the pool's."""
    pools: list[Pool] = []

    def make(port: int, **options: Any) -> Pool:
        limits = {name: options.pop(name) for name in list(options) if name in PoolLimits.__struct_fields__}
        patient = {"connect_seconds": 60, "dead_after_seconds": 60}
        limits = {"drain_seconds": 0.2, "reserved_streams_for_urgent": 0, **patient, **limits}
        tls = options.pop("tls", None) or ssl.create_default_context(cafile=str(authority.file))
        host = options.pop("host", "127.0.0.1")
        pool = Pool(host=host, port=port, tls=tls, backend=backend, limits=PoolLimits(**limits), **options)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        await pool.close()
