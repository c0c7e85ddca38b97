"""Clients that hang up before their answer: the server goes on for the others."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.journeys.conftest import NewServer
from tests.journeys.phones import Bank, sign
from tests.peers.server import ServerProcess


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, new_server: NewServer) -> ServerProcess:
    """Not started yet."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return new_server(url, activation_validity_seconds="3600")


async def test_clients_that_hang_up(server: ServerProcess) -> None:
    server.start()
    furnished = server.furnish()
    body = json.dumps({"userId": "gone", "appId": "bank"}).encode()
    head = (
        "POST /powerauth-cloud/v2/registrations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: {furnished.integration}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()

    async def hang_up(sent: bytes, delay: float) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", server.internal_port)
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(delay)
        writer.transport.abort()

    async with Bank.of(server, furnished) as bank:
        phone = await bank.enrol("stays")
        gone = [hang_up(head + body, 0.001 * (n % 10)) for n in range(150)]
        gone += [hang_up(head + body[: n % len(body)], 0) for n in range(50)]
        gone += [hang_up(head[: 3 * n], 0) for n in range(50)]

        async def stay() -> None:
            nonlocal phone
            for _ in range(30):
                phone, header = sign(phone)
                assert (await bank.verify(header)).body["signatureValid"] is True

        await asyncio.gather(stay(), *gone)
        registered = await bank.call("GET", "/v2/registrations?userId=gone")
        assert registered.status == 200
        whole = registered.body["registrations"]
        assert {one["registrationStatus"] for one in whole} <= {"CREATED"}
        assert len(whole) <= 150
        await stay()
    assert "Traceback" not in server.log()
    assert server.stop() == 0
