"""Signature checks and pages of lists with 1,000 registrations in the database, and with 1,000,000.

The phones that sign are the same; the others' rows lie between theirs, as they would after years.
"""

from __future__ import annotations

import base64
import json
import os
import statistics
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import apsw

from bench import peers
from bench.figure import Figure
from bench.phones import HOST, enrol
from ringback.softphone.client import Unlock, sign
from ringback.softphone.load import LoadResult, prepared, run_load
from ringback.softphone.load_wire import http_request
from ringback.softphone.state import PhoneState
from tests.peers.server import ServerProcess

PHONES = 960
MILLION = 1_000_000
CONNECTIONS = 64
SIGNATURES = 12
ROUNDS = 5
BODY = b'{"amount":"1000.00","currency":"EUR"}'


async def a_million_registrations() -> list[Figure]:
    """The rate with a million beside the rate with a thousand, on SQLite."""
    with tempfile.TemporaryDirectory(prefix="ringback-million-") as folder:
        process = ServerProcess(Path(folder) / "data", settings=peers.SETTINGS)
        process.start()
        try:
            made = process.furnish()
            server = peers.Server(
                process.pid, process.public_port, process.internal_port, made.integration, made.app
            )  # fmt: skip
            phones = (await enrol(server, PHONES)).phones
            phones, few = await _rates(server, phones)
            process.stop()
            _fill(Path(folder) / "data" / "ringback.db")
            process.start()
            server = peers.Server(
                process.pid, process.public_port, process.internal_port, made.integration, made.app
            )  # fmt: skip
            _, many = await _rates(server, phones)
        finally:
            process.stop()
    return [
        Figure(
            name="verify-million", figure=many[0], unit="verified/s", reference=few[0], ratio_target=0.8,
            detail=f"server CPU {many[1]:.0f} µs; the reference is {PHONES} registrations, {few[1]:.0f} µs",
        ),
        Figure(
            name="list-million", figure=many[2], unit="pages/s", reference=few[2], ratio_target=0.8,
            detail="GET /v2/registrations of a user, first page; the reference is the same with few registrations",
        ),
    ]  # fmt: skip


async def _rates(server: peers.Server, phones: list[PhoneState]) -> tuple[list[PhoneState], tuple[float, float, float]]:
    """The phones after it; medians of the verifications a second, their CPU in µs, and the pages a second."""
    verified: list[LoadResult] = []
    listed: list[LoadResult] = []
    for _ in range(ROUNDS + 1):
        phones, requests = _signed(server, phones)
        verified.append(await _load(server, requests))
        listed.append(await _load(server, _lists(server)))
    return phones, (
        statistics.median(result.rate for result in verified[1:]),
        statistics.median(result.server_cpu_us or 0 for result in verified[1:]),
        statistics.median(result.rate for result in listed[1:]),
    )


def _signed(server: peers.Server, phones: list[PhoneState]) -> tuple[list[PhoneState], list[bytes]]:
    headers = {"Authorization": server.authorization, "Content-Type": "application/json"}
    requests = []
    for _ in range(SIGNATURES):
        signed = []
        for phone in phones:
            advanced, header = sign(
                phone, Unlock(biometry=True), method="POST", uri_id="/payment", body=BODY, random=os.urandom
            )
            signed.append(advanced)
            content = {
                "method": "POST", "uriId": "/payment", "authHeader": header,
                "requestBody": base64.b64encode(BODY).decode(),
            }  # fmt: skip
            path = "/powerauth-cloud/v2/signature/verify"
            requests.append(http_request("POST", path, host=HOST, headers=headers, body=json.dumps(content).encode()))
        phones = signed
    return phones, requests


def _lists(server: peers.Server) -> list[bytes]:
    headers = {"Authorization": server.authorization}
    path = "/powerauth-cloud/v2/registrations?userId=user-"
    return [http_request("GET", f"{path}{user}", host=HOST, headers=headers) for user in range(PHONES)]


async def _load(server: peers.Server, requests: list[bytes]) -> LoadResult:
    lanes = [prepared(requests[start::CONNECTIONS]) for start in range(CONNECTIONS)]
    result = await run_load(HOST, server.internal_port, lanes, server_pids=[server.pid])
    if result.statuses != {200: len(requests)}:
        raise RuntimeError(f"not every request was answered 200: {result.statuses}, {result.broken} broken")
    return result


def _fill(database: Path) -> None:
    """Adds what is missing to a million rows, copies of the first one under other names.

    Their ids are spread over the time in which the phones that sign were made, so that those lie far apart.
    """
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000")
    columns = [str(row[1]) for row in connection.execute("PRAGMA table_info(registrations)")]
    count, first, last = next(iter(connection.execute("SELECT count(*), min(id), max(id) FROM registrations")))
    row = next(iter(connection.execute(f"SELECT {', '.join(columns)} FROM registrations LIMIT 1")))  # noqa: S608
    begin, end = (int(one.replace("-", "")[:12], 16) for one in (first, last))
    numbers = Random(1)
    ids = sorted(
        str(uuid.UUID(int=(numbers.randint(begin, end) << 80) | (7 << 76) | (2 << 62) | numbers.getrandbits(62)))
        for _ in range(MILLION - int(count))
    )
    at = {name: position for position, name in enumerate(columns)}

    def rows() -> Iterator[list[Any]]:
        for number, registration_id in enumerate(ids):
            copy = list(row)
            copy[at["id"]], copy[at["user_id"]] = registration_id, f"other-{number}"
            yield copy

    with connection:
        marks = ", ".join("?" * len(columns))
        insert = f"INSERT INTO registrations({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        connection.executemany(insert, rows())
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
