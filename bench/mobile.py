"""What phones ask all day: signature/validate, activation/status, the list of operations; on SQLite and PostgreSQL.

Every phone's requests go over one connection, in order, since its counter only goes forward.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec

from bench import peers
from bench.figure import Figure
from bench.phones import HOST, as_bytes, enrol
from bench.postgres import durable_postgres
from ringback.protocols.powerauth.ecies import EciesResponse
from ringback.softphone.client import (
    Unlock,
    begin_mac_token,
    begin_status,
    finish_mac_token,
    signed_request,
    token_request,
)
from ringback.softphone.configuration import read_configuration
from ringback.softphone.enrolment import begin_temporary_key, finish_temporary_key
from ringback.softphone.load import Lane, LoadResult, prepared, run_load
from ringback.softphone.load_wire import http_request
from ringback.softphone.state import PhoneState
from ringback.softphone.wire import EncodedJwt, Plain, plain_body

CONNECTIONS = 64
PHONES = 640
REQUESTS = 10
ROUNDS = 3
PENDING = 10
UNLOCK = Unlock(biometry=True)
PAYMENT = {"amount": "1000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"}

Requests = Callable[[list[PhoneState]], tuple[list[PhoneState], list[bytes]]]
"""Makes one round of requests: the phones after it, and the requests, phone by phone, over and over."""


async def phone_calls() -> list[Figure]:
    """Rates on SQLite beside the targets, and on PostgreSQL beside SQLite."""
    async with _furnished("") as (server, phones):
        sqlite = await _all(server, phones)
        bare = await _rate(server, server.internal_port, [http_request("GET", "/health/live", host=HOST)] * 6400)
    async with durable_postgres(databases=1) as (url,), _furnished(url) as (server, phones):
        postgres = await _all(server, phones)
    figures = []
    for name, target in (("mobile-validate", 3000), ("mobile-status", 4000), ("mobile-list", 2000)):
        rate, cpu = sqlite[name]
        other_rate, other_cpu = postgres[name]
        figures += [
            Figure(
                name=name, figure=rate, unit="requests/s", target=target, reference=bare.rate,
                detail=f"server CPU {cpu:.0f} µs a request; the reference is GET /health/live",
            ),
            Figure(
                name=f"{name}-postgres", figure=other_rate, unit="requests/s", reference=rate, ratio_target=0.5,
                detail=f"server CPU {other_cpu:.0f} µs a request; the reference is SQLite",
            ),
        ]  # fmt: skip
    return figures


@asynccontextmanager
async def _furnished(database_url: str) -> AsyncIterator[tuple[peers.Server, list[PhoneState]]]:
    """A server with phones, each with a MAC token and ten pending operations."""
    async with peers.product(database_url) as server:
        phones = await _with_mac_tokens(server, (await enrol(server, PHONES)).phones)
        headers = {"Authorization": server.authorization, "Content-Type": "application/json"}
        path = "/powerauth-cloud/v2/operations"
        asked = [
            http_request("POST", path, host=HOST, headers=headers, body=json.dumps(content).encode())
            for user in range(PHONES)
            for content in [
                {"userId": f"user-{user}", "template": "payment", "language": "en", "silent": True,
                 "parameters": PAYMENT, "timestampExpires": 4_000_000_000_000},
            ] * PENDING
        ]  # fmt: skip
        await _rate(server, server.internal_port, asked)
        yield server, phones


async def _with_mac_tokens(server: peers.Server, phones: list[PhoneState]) -> list[PhoneState]:
    finished: list[PhoneState] = []

    def lane(mine: list[PhoneState]) -> Lane:
        for phone in mine:
            request, asked = begin_temporary_key(read_configuration(phone.sdk_config), phone, os.urandom)
            answer = yield as_bytes(request)
            assert answer is not None
            key = finish_temporary_key(asked, msgspec.json.decode(answer.body, type=Plain[EncodedJwt]))
            advanced, (request, session) = begin_mac_token(phone, UNLOCK, key, os.urandom, key.server_time_ms)
            answer = yield as_bytes(request)
            assert answer is not None
            finished.append(finish_mac_token(advanced, session, msgspec.json.decode(answer.body, type=EciesResponse)))

    lanes = [lane(phones[start::CONNECTIONS]) for start in range(CONNECTIONS)]
    await run_load(HOST, server.public_port, lanes)
    return finished


async def _all(server: peers.Server, phones: list[PhoneState]) -> dict[str, tuple[float, float]]:
    """Median rate and server CPU in µs of each kind of request. The kinds take turns, so that noise hits all."""
    kinds: dict[str, Requests] = {"mobile-validate": _validate, "mobile-status": _status, "mobile-list": _list}
    seen: dict[str, list[LoadResult]] = {name: [] for name in kinds}
    for _ in range(ROUNDS + 1):
        for name, make in kinds.items():
            phones, requests = make(phones)
            seen[name].append(await _rate(server, server.public_port, requests))
    # The first round warms up.
    return {
        name: (
            statistics.median(result.rate for result in results[1:]),
            statistics.median(result.server_cpu_us or 0 for result in results[1:]),
        )
        for name, results in seen.items()
    }


def _validate(phones: list[PhoneState]) -> tuple[list[PhoneState], list[bytes]]:
    body = plain_body({"amount": "1000.00"})
    requests = []
    for _ in range(REQUESTS):
        signed = []
        for phone in phones:
            path, uri_id = "/pa/v3/signature/validate", "/pa/signature/validate"
            advanced, request = signed_request(phone, UNLOCK, path, uri_id, body, os.urandom)
            signed.append(advanced)
            requests.append(as_bytes(request))
        phones = signed
    return phones, requests


def _status(phones: list[PhoneState]) -> tuple[list[PhoneState], list[bytes]]:
    return phones, [as_bytes(begin_status(phone, os.urandom)[0]) for _ in range(REQUESTS) for phone in phones]


def _list(phones: list[PhoneState]) -> tuple[list[PhoneState], list[bytes]]:
    now_ms = peers.now_ms()
    path = "/api/auth/token/app/operation/list"
    return phones, [
        as_bytes(token_request(phone, path, {}, os.urandom, now_ms)) for _ in range(REQUESTS) for phone in phones
    ]


async def _rate(server: peers.Server, port: int, requests: Iterable[bytes]) -> LoadResult:
    """PHONES is a multiple of CONNECTIONS, so that one connection has all the requests of a phone, in order."""
    requests = list(requests)
    lanes = [prepared(requests[start::CONNECTIONS]) for start in range(CONNECTIONS)]
    result = await run_load(HOST, port, lanes, server_pids=[server.pid])
    if result.statuses != {200: len(requests)}:
        raise RuntimeError(f"not every request was answered 200: {result.statuses}, {result.broken} broken")
    return result
