"""Many phones at once, through the real enrolment, with the parts that are measured kept apart."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import msgspec

from bench import peers
from ringback.protocols.powerauth.ecies import EciesResponse
from ringback.softphone.configuration import read_configuration
from ringback.softphone.enrolment import (
    PendingActivation,
    begin_activation,
    begin_temporary_key,
    finish_activation,
    finish_temporary_key,
)
from ringback.softphone.load import Lane, LoadResult, prepared, run_load
from ringback.softphone.load_wire import http_request
from ringback.softphone.state import PhoneState
from ringback.softphone.wire import EncodedJwt, PhoneRequest, Plain

HOST = "127.0.0.1"
PREFIX = "/enrollment-server"
CONNECTIONS = 32
PIN = "1234"


@dataclass(frozen=True)
class Enrolment:
    """Activated phones, and what their enrolment took: keystore + create, then commit."""

    phones: list[PhoneState]
    key_exchange: LoadResult
    commit: LoadResult

    @property
    def rate(self) -> float:
        """Activations (keystore + create + commit) per second."""
        return len(self.phones) / (self.key_exchange.seconds + self.commit.seconds)


def as_bytes(request: PhoneRequest) -> bytes:
    """A phone's request for the load generator."""
    headers = {"Content-Type": "application/json", **request.headers}
    return http_request(request.method, PREFIX + request.path, host=HOST, headers=headers, body=request.body)


async def enrol(server: peers.Server, count: int) -> Enrolment:
    """Enrols `count` phones of `count` users."""
    codes = await _registrations(server, count)
    opened: list[tuple[PendingActivation, bytes]] = []
    lanes = [_key_exchange(server, codes[lane::CONNECTIONS], opened) for lane in range(CONNECTIONS)]
    key_exchange = await run_load(HOST, server.public_port, lanes, server_pids=[server.pid])
    _expect(key_exchange, 2 * count)
    headers = {"Authorization": server.authorization, "Content-Type": "application/json"}
    commits = [
        http_request("POST", f"/powerauth-cloud/v2/registrations/{registration}/commit", host=HOST, headers=headers)
        for registration, _ in codes
    ]
    commit_lanes = [prepared(commits[lane::CONNECTIONS]) for lane in range(CONNECTIONS)]
    commit = await run_load(HOST, server.internal_port, commit_lanes, server_pids=[server.pid])
    _expect(commit, count)
    phones = [
        finish_activation(
            pending, msgspec.json.decode(body, type=EciesResponse), pin=PIN, biometry=True, random=os.urandom
        )
        for pending, body in opened
    ]
    return Enrolment(phones, key_exchange, commit)


async def _registrations(server: peers.Server, count: int) -> list[tuple[str, str]]:
    """Registration id and activation code of each."""
    made: list[tuple[str, str]] = []
    headers = {"Authorization": server.authorization, "Content-Type": "application/json"}

    def lane(users: range) -> Lane:
        for user in users:
            body = json.dumps({"userId": f"user-{user}", "appId": "bank"}).encode()
            path = "/powerauth-cloud/v2/registrations"
            answer = yield http_request("POST", path, host=HOST, headers=headers, body=body)
            if answer is not None:
                registration = json.loads(answer.body)
                made.append((registration["registrationId"], registration["activationCode"]))

    lanes = [lane(range(start, count, CONNECTIONS)) for start in range(CONNECTIONS)]
    _expect(await run_load(HOST, server.internal_port, lanes), count)
    return made


def _key_exchange(
    server: peers.Server, codes: list[tuple[str, str]], opened: list[tuple[PendingActivation, bytes]]
) -> Lane:
    """keystore/create, then activation/create with that temporary key, for each code."""
    sdk_config: str = server.app["mobileSdkConfig"]
    configuration = read_configuration(sdk_config)
    for _, code in codes:
        request, asked = begin_temporary_key(configuration, None, os.urandom)
        answer = yield as_bytes(request)
        if answer is None or answer.status != 200:
            continue
        temporary_key = finish_temporary_key(asked, msgspec.json.decode(answer.body, type=Plain[EncodedJwt]))
        request, pending = begin_activation(
            server_url=f"http://{HOST}:{server.public_port}",
            sdk_config=sdk_config,
            temporary_key=temporary_key,
            code=code,
            name="bench",
            platform="linux",
            device_info="bench",
            random=os.urandom,
            now_ms=temporary_key.server_time_ms,
        )
        answer = yield as_bytes(request)
        if answer is not None and answer.status == 200:
            opened.append((pending, answer.body))


def _expect(result: LoadResult, count: int) -> None:
    if result.statuses != {200: count}:
        raise RuntimeError(f"{count} answers 200 were expected, not {result.statuses} ({result.broken} broken)")
