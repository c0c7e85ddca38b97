"""Activations per second: keystore/create, activation/create, commit."""

from __future__ import annotations

import os
import statistics
import time

from bench import peers
from bench.figure import Figure
from bench.phones import enrol
from ringback.protocols.powerauth.keys import generate_private_key, shared_x, sign_der

PHONES = 600
ROUNDS = 3
PROBES = 400


async def activations() -> list[Figure]:
    """Beside the elliptic-curve work that the server cannot do without, alone on one core."""
    rates, cpu = [], 0.0
    async with peers.product() as server:
        for round_number in range(ROUNDS + 1):
            enrolment = await enrol(server, PHONES)
            if round_number:
                rates.append(enrolment.rate)
                cpu = 2 * (enrolment.key_exchange.server_cpu_us or 0) + (enrolment.commit.server_cpu_us or 0)
    return [
        Figure(
            name="activation", figure=statistics.median(rates), unit="activations/s", target=400,
            reference=_bare_crypto_rate(),
            detail=f"server CPU {cpu:.0f} µs each; the reference is the bare elliptic-curve work, without a server",
        )
    ]  # fmt: skip


def _bare_crypto_rate() -> float:
    """Two key pairs, one signature and three agreements an activation."""
    other = generate_private_key().public_key()
    started = time.perf_counter()
    for _ in range(PROBES):
        key = generate_private_key()
        sign_der(key, os.urandom(64))
        generate_private_key()
        for _ in range(3):
            shared_x(key, other)
    return PROBES / (time.perf_counter() - started)
