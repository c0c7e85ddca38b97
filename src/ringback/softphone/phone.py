"""A phone: the protocol of `enrolment` and `client`, a file for its state, and HTTP."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec

from ringback.clock import Clock, Randomness, SystemClock, SystemRandomness
from ringback.protocols.powerauth.ecies import EciesResponse
from ringback.protocols.powerauth.temporary_key_client import TemporaryKey
from ringback.softphone import client, enrolment
from ringback.softphone.client import POSSESSION, PhoneStatus, Unlock
from ringback.softphone.configuration import AppConfiguration, read_code, read_configuration
from ringback.softphone.errors import OperationUnknown, RefusedByServer
from ringback.softphone.http import PhoneConnection
from ringback.softphone.push_stream import STREAM_PATH, PushStream
from ringback.softphone.state import PhoneState, StateKeeper
from ringback.softphone.wire import (
    EncodedJwt,
    OperationList,
    PhoneOperation,
    PhoneRequest,
    Plain,
    ServerState,
    StatusAnswer,
    StatusOnly,
    plain_body,
)

T = TypeVar("T")

PLATFORM = "ringback"
DEVICE_INFO = "software phone"
_OPERATION = "/api/auth/token/app/operation"


class Activated(msgspec.Struct, frozen=True, rename="camel"):
    """A phone was activated; the back end has still to commit it. The fingerprint is for a person to compare."""

    activation_id: str
    fingerprint: str


class Phone:
    """One phone. Every method raises `PhoneError`s, whose messages are for people; `async with` closes the connection.

    Signed requests go one after the other, since the server follows the counter only forward; the new counter is saved
    before the request is sent.
    """

    def __init__(
        self,
        keeper: StateKeeper,
        *,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
        session: aiohttp.ClientSession | None = None,
        timeout_seconds: float = 15.0,
    ) -> None:
        self._keeper = keeper
        self._clock = clock or SystemClock()
        self._random = (randomness or SystemRandomness()).bytes
        self._connection = PhoneConnection(session, timeout_seconds)
        self._signing = asyncio.Lock()
        self._temporary_keys: dict[str | None, TemporaryKey] = {}
        self._server_ahead_ms: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection, unless it was given."""
        await self._connection.close()

    @property
    def state(self) -> PhoneState:
        """What the phone remembers now. Raises NotActivated."""
        return self._keeper.load()

    async def activate(
        self, server_url: str, sdk_config: str, code: str, *, name: str, pin: str, biometry: bool = True
    ) -> Activated:
        """Exchanges keys. `code`: an activation code, or the text of its QR code, whose signature is then checked.

        Raises ConfigurationRefused, CodeRefused, ActivationRefused.
        """
        configuration = read_configuration(sdk_config)
        plain_code = read_code(code, configuration)
        temporary_key = await self._temporary_key(server_url, configuration, None)
        request, pending = enrolment.begin_activation(
            server_url=server_url,
            sdk_config=sdk_config,
            temporary_key=temporary_key,
            code=plain_code,
            name=name,
            platform=PLATFORM,
            device_info=DEVICE_INFO,
            random=self._random,
            now_ms=self._server_now_ms(),
        )
        answer = await self._connection.send(server_url, request, EciesResponse)
        state = enrolment.finish_activation(pending, answer, pin=pin, biometry=biometry, random=self._random)
        self._keeper.save(state)
        return Activated(state.activation_id, enrolment.fingerprint(state))

    async def status(self) -> PhoneStatus:
        """What the server says about this phone; when the server's counter is ahead, the phone catches up."""
        request, challenge = client.begin_status(self.state, self._random)
        answer = await self._send(request, Plain[StatusAnswer])
        return self._keeper.update(lambda state: client.finish_status(state, challenge, answer))

    async def validate(self, unlock: Unlock) -> None:
        """Proves once that the factors are right. Raises SignatureRefused."""
        body = plain_body({})
        await self._send_signed(unlock, "/pa/v3/signature/validate", "/pa/signature/validate", body, StatusOnly)

    async def remove(self, unlock: Unlock) -> None:
        """Removes the registration on the server, then forgets the phone. Raises SignatureRefused."""
        await self._send_signed(unlock, "/pa/v3/activation/remove", "/pa/activation/remove", b"", StatusOnly)
        self._keeper.forget()

    def sign(self, method: str, uri_id: str, body: bytes, unlock: Unlock) -> str:
        """An X-PowerAuth-Authorization header for a request to somebody else's server, who has it verified.

        body: the request's bytes; for GET the result of `signature.canonical_query`.
        """
        return self._keeper.update(
            lambda state: client.sign(state, unlock, method=method, uri_id=uri_id, body=body, random=self._random)
        )

    async def create_token(self, unlock: Unlock = POSSESSION) -> str:
        """Gets a new MAC token, which proves requests that only read. Returns its id."""
        state = self.state
        configuration = read_configuration(state.sdk_config)
        async with self._signing:
            temporary_key = await self._temporary_key(state.server_url, configuration, state)
            now_ms = self._server_now_ms()
            request, session = self._keeper.update(
                lambda state: client.begin_mac_token(state, unlock, temporary_key, self._random, now_ms)
            )
            answer = await self._send(request, EciesResponse)

        def keep(state: PhoneState) -> tuple[PhoneState, str]:
            changed = client.finish_mac_token(state, session, answer)
            return changed, changed.mac_token_id or ""

        return self._keeper.update(keep)

    async def list_operations(self) -> list[PhoneOperation]:
        """What waits for this phone's answer."""
        answer = await self._send(await self._token_request(f"{_OPERATION}/list", {}), OperationList)
        return answer.response_object

    async def operation_detail(self, operation_id: str) -> PhoneOperation:
        """One operation. Raises OperationUnknown."""
        request = await self._token_request(f"{_OPERATION}/detail", {"id": operation_id})
        try:
            return (await self._send(request, Plain[PhoneOperation])).response_object
        except RefusedByServer as error:
            if error.server_code == "INVALID_OPERATION":
                raise OperationUnknown(cause=error) from error
            raise

    async def approve(self, operation_id: str, unlock: Unlock) -> PhoneOperation:
        """Approves what the phone shows: the operation's data are fetched and sent back under the signature.

        Raises OperationUnknown, SignatureRefused, RefusedByServer (finished, expired, cancelled meanwhile).
        """
        operation = await self.operation_detail(operation_id)
        await self.approve_shown(operation, unlock)
        return operation

    async def approve_shown(self, operation: PhoneOperation, unlock: Unlock) -> None:
        """Approves exactly the data of an operation that was fetched, and shown, before.

        Raises SignatureRefused, RefusedByServer (finished, expired, cancelled, or changed meanwhile).
        """
        body = plain_body({"id": operation.id, "data": operation.data})
        await self._send_signed(unlock, f"{_OPERATION}/authorize", "/operation/authorize", body, StatusOnly)

    async def reject(self, operation_id: str, reason: str = "UNKNOWN") -> None:
        """Rejects. reason: UNKNOWN, INCORRECT_DATA, UNEXPECTED_OPERATION, or free text."""
        body = plain_body({"id": operation_id, "reason": reason})
        await self._send_signed(POSSESSION, f"{_OPERATION}/cancel", "/operation/cancel", body, StatusOnly)

    async def register_push(self, kind: str = "local", push_token: str | None = None) -> str:
        """Tells the server where pushes reach this phone; returns the push token. `local` = `open_push_stream`."""
        push_token = push_token or self.state.push_token or self._random(16).hex()
        content = {"platform": kind, "token": push_token}
        await self._send(await self._token_request("/api/push/device/register/token", content), StatusOnly)
        return self._keeper.update(lambda state: (msgspec.structs.replace(state, push_token=push_token), push_token))

    def open_push_stream(self) -> PushStream:
        """Pushes as they come; goes on after the last one that this phone has seen. Register `local` first."""

        async def request() -> PhoneRequest:
            return await self._token_request(STREAM_PATH, {})

        def received(push_id: str) -> None:
            self._keeper.update(lambda state: (msgspec.structs.replace(state, last_push_id=push_id), None))

        state = self.state
        return PushStream(
            self._connection,
            state.server_url,
            request=request,
            last_push_id=state.last_push_id or "",
            received=received,
        )

    async def _send(self, request: PhoneRequest, shape: type[T]) -> T:
        return await self._connection.send(self.state.server_url, request, shape)

    async def _send_signed(self, unlock: Unlock, path: str, uri_id: str, body: bytes, shape: type[T]) -> T:
        def change(state: PhoneState) -> tuple[PhoneState, PhoneRequest]:
            return client.signed_request(state, unlock, path, uri_id, body, self._random)

        async with self._signing:
            request = self._keeper.update(change)  # on the disk before a byte of it leaves
            return await self._send(request, shape)

    async def _token_request(self, path: str, content: object) -> PhoneRequest:
        if self.state.mac_token_id is None:
            await self.create_token()
        if self._server_ahead_ms is None:
            await self._ask_time()
        return client.token_request(self.state, path, content, self._random, self._server_now_ms())

    async def _ask_time(self) -> None:
        before = self._clock.now_ms()
        answer = await self._send(PhoneRequest("/pa/v3/status", plain_body({})), Plain[ServerState])
        middle = (before + self._clock.now_ms()) // 2
        self._server_ahead_ms = answer.response_object.server_time - middle

    async def _temporary_key(
        self, server_url: str, configuration: AppConfiguration, state: PhoneState | None
    ) -> TemporaryKey:
        """The key of the scope, asked for again 10 s before it expires; its answer also sets the phone's time."""
        scope = None if state is None else state.activation_id
        known = self._temporary_keys.get(scope)
        if known is not None and known.is_usable(self._server_now_ms()):
            return known
        request, pending = enrolment.begin_temporary_key(configuration, state, self._random)
        answer = await self._connection.send(server_url, request, Plain[EncodedJwt])
        key = enrolment.finish_temporary_key(pending, answer)
        self._server_ahead_ms = key.server_time_ms - self._clock.now_ms()
        self._temporary_keys[scope] = key
        return key

    def _server_now_ms(self) -> int:
        return self._clock.now_ms() + (self._server_ahead_ms or 0)
