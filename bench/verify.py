"""POST /v2/signature/verify of distinct registrations, Basic authentication included, on SQLite."""

from __future__ import annotations

import base64
import json
import os
import statistics

from bench import peers
from bench.figure import Figure
from bench.phones import HOST, enrol
from ringback.softphone.client import Unlock, sign
from ringback.softphone.load import LoadResult, prepared, run_load
from ringback.softphone.load_wire import http_request
from ringback.softphone.state import PhoneState

CONNECTIONS = 64
PHONES = 960
SIGNATURES = 12
ROUNDS = 3
BODY = b'{"amount":"1000.00","currency":"EUR","iban":"CZ5508000000001234567899"}'


async def signature_verify() -> list[Figure]:
    """Rate and p99, beside the bare request (health) of the same server."""
    rates, tails, bare_rates, cpu = [], [], [], 0.0
    async with peers.product() as server:
        phones = (await enrol(server, PHONES)).phones
        for round_number in range(ROUNDS + 1):
            phones, result = await _verify(server, phones)
            bare = await _bare(server)
            if round_number:
                rates.append(result.rate)
                tails.append(result.percentile(99))
                bare_rates.append(bare.rate)
                cpu = result.server_cpu_us or 0.0
    detail = f"{PHONES} registrations, possession_biometry, server CPU {cpu:.0f} µs; the reference is GET /health/live"
    return [
        Figure(
            name="verify", figure=statistics.median(rates), unit="verified/s", target=3500,
            reference=statistics.median(bare_rates), detail=detail,
        ),
        Figure(
            name="verify-p99", figure=statistics.median(tails), unit="ms", target=30, better="lower",
            detail=f"{CONNECTIONS} connections",
        ),
    ]  # fmt: skip


async def _verify(server: peers.Server, phones: list[PhoneState]) -> tuple[list[PhoneState], LoadResult]:
    headers = {"Authorization": server.authorization, "Content-Type": "application/json"}
    requests: list[bytes] = []
    unlock = Unlock(biometry=True)
    for _ in range(SIGNATURES):
        signed = []
        for phone in phones:
            advanced, header = sign(phone, unlock, method="POST", uri_id="/payment", body=BODY, random=os.urandom)
            signed.append(advanced)
            content = {
                "method": "POST",
                "uriId": "/payment",
                "authHeader": header,
                "requestBody": base64.b64encode(BODY).decode(),
            }
            payload = json.dumps(content).encode()
            path = "/powerauth-cloud/v2/signature/verify"
            requests.append(http_request("POST", path, host=HOST, headers=headers, body=payload))
        phones = signed
    valid = 0

    def lane(mine: list[bytes]):  # type: ignore[no-untyped-def] # noqa: ANN202 - a Lane that counts
        nonlocal valid
        for request in mine:
            answer = yield request
            valid += answer is not None and b'"signatureValid":true' in answer.body

    # PHONES is a multiple of CONNECTIONS, so that one connection has all the requests of a phone, in order.
    lanes = [lane(requests[start::CONNECTIONS]) for start in range(CONNECTIONS)]
    result = await run_load(HOST, server.internal_port, lanes, server_pids=[server.pid])
    if valid != len(requests):
        raise RuntimeError(f"{len(requests) - valid} of {len(requests)} signatures were not valid: {result.statuses}")
    return phones, result


async def _bare(server: peers.Server) -> LoadResult:
    request = http_request("GET", "/health/live", host=HOST)
    return await run_load(HOST, server.internal_port, [prepared([request] * 150) for _ in range(CONNECTIONS)])
