"""Encrypted call payloads (JWE, `dir`, A256GCM), beside joserfc; and the whole payload that APNs gets."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

from joserfc import jwe as joserfc_jwe
from joserfc.jwk import OctKey

from bench.figure import Figure
from ringback.protocols import jwe
from ringback.protocols.cucm_push import INCOMING_CALL, CallPush, write_call_push
from ringback.push.content import CallContent, Content
from ringback.push.payloads import Encryption, apns_payload

ROUNDS = 5
TIMES = 40_000
REFERENCE_TIMES = 5_000
PHONES = 1_000
NAME, NUMBER, ENDS_AT = "Alice Example", "+14085550123", 1_800_000_030_000
PUSH_ID = "0b7f3f0e-4f2a-4a60-9a0e-0a4e0d7f5f11"
PAYLOAD = write_call_push(CallPush(INCOMING_CALL, PUSH_ID, NAME, NUMBER, ringexpiretime=str(ENDS_AT)))
CONTENT = Content(
    push_id=PUSH_ID,
    purpose="call",
    call=CallContent(display_name=NAME, display_number=NUMBER, ring_expires_at=ENDS_AT),
)


async def encrypted_payloads() -> list[Figure]:
    """Each with the key of another phone and a fresh IV, as they are sent."""
    keys = [os.urandom(jwe.KEY_BYTES) for _ in range(PHONES)]
    octets = [OctKey.import_key(key) for key in keys]
    header = {"alg": "dir", "enc": "A256GCM"}
    algorithms = ["dir", "A256GCM"]
    ours, payloads, theirs = [], [], []
    for _ in range(ROUNDS):  # in turns, so that what else the machine does is shared
        ours.append(_rate(lambda at: jwe.encrypt(PAYLOAD, keys[at], os.urandom(12)), TIMES))
        payloads.append(
            _rate(lambda at: apns_payload(CONTENT, voip=True, encryption=Encryption(keys[at], os.urandom(12))), TIMES)
        )
        theirs.append(
            _rate(
                lambda at: joserfc_jwe.encrypt_compact(header, PAYLOAD, octets[at], algorithms=algorithms),
                REFERENCE_TIMES,
            )
        )
    detail = f"{len(PAYLOAD)} bytes of V2, a key for each phone, one core; the reference is joserfc"
    return [
        Figure(
            name="jwe", figure=statistics.median(ours), unit="JWE/CPU-s", target=200_000,
            reference=statistics.median(theirs), detail=detail,
        ),
        Figure(
            name="jwe-apns-payload", figure=statistics.median(payloads), unit="payloads/CPU-s",
            reference=statistics.median(theirs), detail="from the content to the body of the request to APNs",
        ),
    ]  # fmt: skip


def _rate(make: Callable[[int], object], times: int) -> float:
    started = time.process_time()
    for number in range(times):
        make(number % PHONES)
    return times / (time.process_time() - started)
