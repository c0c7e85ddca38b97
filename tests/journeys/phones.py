"""A bank's back end and its customers' phones: real messages over real HTTP, many at once, against any server.

Phones are `PhoneState`s, which a test moves forward itself: `sign` gives the header and the phone after it. They sign
with biometry, which costs no PIN derivation.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest

from ringback.clock import SystemClock
from ringback.protocols.powerauth.ecies import EciesResponse
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS, protocol_version
from ringback.softphone import MemoryState, Phone, PhoneState, PhoneStatus, Unlock, client, enrolment
from ringback.softphone.configuration import read_configuration
from ringback.softphone.wire import EncodedJwt, PhoneRequest, Plain, StatusAnswer, plain_body
from tests.peers.server import Furnished, ServerProcess
from tests.served import Served

UNLOCK = Unlock(biometry=True)
PAYMENT = b'{"amount":"1000.00","currency":"EUR"}'
PIN = "1234"
EVERY_VERSION = pytest.mark.parametrize("version", list(PROTOCOL_VERSIONS))


@dataclass(frozen=True)
class Reply:
    """Status and decoded JSON of an answer."""

    status: int
    body: Any


@dataclass(frozen=True)
class Enrolment:
    """A registration that waits for its phone."""

    id: str
    code: str


@dataclass(frozen=True)
class Bank:
    """The app `bank`: its back end, and the way its phones reach the server."""

    public: str
    internal: str
    authorization: str
    sdk_config: str
    session: aiohttp.ClientSession

    @staticmethod
    @contextlib.asynccontextmanager
    async def of(server: ServerProcess, furnished: Furnished) -> AsyncIterator[Bank]:
        """Of a server process; with as many connections as there are requests under way."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
            config = furnished.app["mobileSdkConfig"]
            yield Bank(server.public, server.internal, furnished.integration, config, session)

    @staticmethod
    def of_served(served: Served) -> Bank:
        """Of a server in this process."""
        config = served.app["mobileSdkConfig"]
        return Bank(served.public, served.internal, served.integration.header, config, served.session)

    # the back end -----------------------------------------------------------------------------------------------------

    async def call(self, method: str, path: str, content: Any = None) -> Reply:
        """A request below /powerauth-cloud."""
        headers = {"Authorization": self.authorization, "Content-Type": "application/json"}
        body = None if content is None else json.dumps(content).encode()
        return await self._send(method, f"{self.internal}/powerauth-cloud{path}", body, headers)

    async def register(self, user: str) -> Enrolment:
        """A new registration."""
        made = await self.call("POST", "/v2/registrations", {"userId": user, "appId": "bank"})
        assert made.status == 200, made
        return Enrolment(made.body["registrationId"], made.body["activationCode"])

    async def commit(self, registration_id: str) -> Reply:
        """Makes the phone active."""
        return await self.call("POST", f"/v2/registrations/{registration_id}/commit", {})

    async def registration(self, registration_id: str) -> Reply:
        """What the back end sees."""
        return await self.call("GET", f"/v2/registrations/{registration_id}")

    async def verify(self, header: str, body: bytes = PAYMENT) -> Reply:
        """Has a signature over a POST to /payment checked."""
        asked = {"method": "POST", "uriId": "/payment", "authHeader": header, "requestBody": _base64(body)}
        return await self.call("POST", "/v2/signature/verify", asked)

    async def ask(self, user: str, template: str = "login") -> dict[str, Any]:
        """A new operation."""
        made = await self.call("POST", "/v2/operations", {"template": template, "userId": user, "parameters": {}})
        assert made.status == 200, made
        operation: dict[str, Any] = made.body
        return operation

    async def operation(self, operation_id: str) -> dict[str, Any]:
        """What became of it."""
        found = await self.call("GET", f"/v2/operations/{operation_id}")
        assert found.status == 200, found
        operation: dict[str, Any] = found.body
        return operation

    # the phones -------------------------------------------------------------------------------------------------------

    async def send(self, request: PhoneRequest) -> Reply:
        """A phone's request."""
        headers = {"Content-Type": "application/json", **request.headers}
        url = f"{self.public}/enrollment-server{request.path}"
        return await self._send(request.method, url, request.body, headers)

    async def exchange_keys(
        self, code: str, count: int = 1, version: str = "3.3"
    ) -> list[tuple[PhoneRequest, enrolment.PendingActivation]]:
        """The requests that `count` phones would send with this code, each with a key pair of its own."""
        key, now_ms = None, SystemClock().now_ms()
        if protocol_version(version).temporary_keys:
            request, asked = enrolment.begin_temporary_key(read_configuration(self.sdk_config), None, os.urandom)
            answer = await self.send(request)
            assert answer.status == 200, answer
            key = enrolment.finish_temporary_key(asked, msgspec.convert(answer.body, Plain[EncodedJwt]))
            now_ms = key.server_time_ms
        return [
            enrolment.begin_activation(
                server_url=self.public, sdk_config=self.sdk_config, temporary_key=key, code=code, name="phone",
                platform="linux", device_info="test", random=os.urandom, now_ms=now_ms, version=version,
            )
            for _ in range(count)
        ]  # fmt: skip

    async def enrol(self, user: str, version: str = "3.3") -> PhoneState:
        """An active phone."""
        registration = await self.register(user)
        ((request, pending),) = await self.exchange_keys(registration.code, version=version)
        answer = await self.send(request)
        assert answer.status == 200, answer
        committed = await self.commit(registration.id)
        assert committed.status == 200, committed
        return finish(pending, answer)

    async def enrol_all(self, users: Iterable[str]) -> list[PhoneState]:
        """An active phone for each name."""
        return await asyncio.gather(*(self.enrol(user) for user in users))

    async def status(self, phone: PhoneState) -> PhoneStatus:
        """What the server says about the phone, and how its counter compares with the phone's."""
        request, challenge = client.begin_status(phone, os.urandom)
        answer = await self.send(request)
        assert answer.status == 200, answer
        return client.finish_status(phone, challenge, msgspec.convert(answer.body, Plain[StatusAnswer]))[1]

    def phone(self, state: PhoneState) -> Phone:
        """The same phone with everything it can do; the session stays open."""
        return Phone(MemoryState(state), session=self.session)

    async def _send(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        async with self.session.request(method, url, data=body, headers=headers) as answer:
            text = await answer.read()
            return Reply(answer.status, json.loads(text) if text else None)


def finish(pending: enrolment.PendingActivation, answer: Reply) -> PhoneState:
    """The phone after its key exchange."""
    response = msgspec.convert(answer.body, EciesResponse)
    return enrolment.finish_activation(pending, response, pin=PIN, biometry=True, random=os.urandom)


def sign(phone: PhoneState, body: bytes = PAYMENT) -> tuple[PhoneState, str]:
    """The phone after it signed a POST to /payment, and the header."""
    return client.sign(phone, UNLOCK, method="POST", uri_id="/payment", body=body, random=os.urandom)


def approval(phone: PhoneState, operation: dict[str, Any]) -> tuple[PhoneState, PhoneRequest]:
    """The phone after it signed an approval, and the request."""
    body = plain_body({"id": operation["operationId"], "data": operation["data"]})
    path = "/api/auth/token/app/operation/authorize"
    return client.signed_request(phone, UNLOCK, path, "/operation/authorize", body, os.urandom)


def thief(phone: PhoneState) -> PhoneState:
    """Somebody who knows the phone, but not its biometry key: his signatures are wrong."""
    return msgspec.structs.replace(phone, biometry_key=bytes(16))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
