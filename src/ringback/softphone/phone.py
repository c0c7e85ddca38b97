"""A phone: the protocol of `enrolment` and `client`, a file for its state, and HTTP."""

from __future__ import annotations

import asyncio
import base64
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from ringback.clock import Clock, Randomness, SystemClock, SystemRandomness
from ringback.protocols.powerauth.ecies import SH1_ACTIVATION, SH1_RECOVERY_CONFIRM, SH1_VAULT_UNLOCK, EciesResponse
from ringback.protocols.powerauth.ecies_client import EciesClientSession
from ringback.protocols.powerauth.headers import TOKEN_HEADER
from ringback.protocols.powerauth.temporary_key_client import TemporaryKey
from ringback.softphone import client, enrolment
from ringback.softphone.calls_of_phone import CallsOfPhone
from ringback.softphone.client import POSSESSION, PhoneStatus, Unlock
from ringback.softphone.configuration import read_code, read_configuration
from ringback.softphone.detail import DetailAnswer, PhoneDetail
from ringback.softphone.encrypted import begin_encrypted, finish_encrypted
from ringback.softphone.http import PhoneConnection
from ringback.softphone.inbox import InboxOfPhone
from ringback.softphone.operations import OperationsOfPhone
from ringback.softphone.push_stream import STREAM_PATH, PushStream
from ringback.softphone.recovery import (
    RECOVERY,
    RecoveryConfirmed,
    SpawnedActivation,
    recovery_identity,
    told_recovery,
)
from ringback.softphone.server_side import ServerSide
from ringback.softphone.state import DEFAULT_VERSION, PhoneState, StateKeeper
from ringback.softphone.vault import SIGN_WITH_DEVICE_KEY, UnlockedVault, open_vault_key, sign_with_device_key
from ringback.softphone.wire import (
    ActivationRecovery,
    PhoneRequest,
    Plain,
    StatusAnswer,
    StatusOnly,
    plain_body,
)

T = TypeVar("T")

PLATFORM = "ringback"
DEVICE_INFO = "software phone"


class Activated(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A phone was activated; unless an OTP or a PUK did it, the back end has still to commit it.

    The fingerprint is for a person to compare; `recovery`, in apps that have it, for a person to write down.
    """

    activation_id: str
    fingerprint: str
    recovery: ActivationRecovery | None = None


class Phone(OperationsOfPhone, InboxOfPhone, CallsOfPhone):
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
        self.server = ServerSide(self._connection, self._clock, self._random)

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
        self,
        server_url: str,
        sdk_config: str,
        code: str,
        *,
        name: str,
        pin: str,
        biometry: bool = True,
        version: str = DEFAULT_VERSION,
        otp: str | None = None,
    ) -> Activated:
        """Exchanges keys. `code`: an activation code, or the text of its QR code, whose signature is then checked.

        `version`: the protocol version that this phone speaks from now on. `otp`: what the person was told beside the
        code. Raises ConfigurationRefused, CodeRefused, ActivationRefused.
        """
        identity = {"code": read_code(code, read_configuration(sdk_config))}
        return await self.activate_by(
            server_url,
            sdk_config,
            "CODE",
            identity,
            name=name,
            pin=pin,
            biometry=biometry,
            version=version,
            otp=otp,
        )

    async def activate_by_recovery(
        self,
        server_url: str,
        sdk_config: str,
        recovery_code: str,
        puk: str,
        *,
        name: str,
        pin: str,
        biometry: bool = True,
        version: str = DEFAULT_VERSION,
    ) -> Activated:
        """Takes the place of a lost phone. Raises ConfigurationRefused, CodeRefused, RecoveryRefused."""
        identity = recovery_identity(recovery_code, puk)
        return await self.activate_by(
            server_url, sdk_config, RECOVERY, identity, name=name, pin=pin, biometry=biometry, version=version
        )

    async def activate_by(
        self,
        server_url: str,
        sdk_config: str,
        kind: str,
        identity: dict[str, str],
        *,
        name: str,
        pin: str,
        biometry: bool = True,
        version: str = DEFAULT_VERSION,
        otp: str | None = None,
        custom_attributes: dict[str, object] | None = None,
    ) -> Activated:
        """Exchanges keys as whoever the identity attributes prove. `kind`: CODE, RECOVERY, DIRECT or CUSTOM.

        Raises ConfigurationRefused, ActivationRefused, RecoveryRefused.
        """
        configuration = read_configuration(sdk_config)
        temporary_key = await self.server.encryption_key(server_url, configuration, None, version)
        request, pending = enrolment.begin_activation(
            server_url=server_url,
            sdk_config=sdk_config,
            temporary_key=temporary_key,
            kind=kind,
            identity=identity,
            otp=otp,
            custom_attributes=custom_attributes,
            name=name,
            platform=PLATFORM,
            device_info=DEVICE_INFO,
            random=self._random,
            now_ms=self.server.now_ms(),
            version=version,
        )
        answer = await self._connection.send(server_url, request, EciesResponse)
        state = enrolment.finish_activation(pending, answer, pin=pin, biometry=biometry, random=self._random)
        self._keeper.save(state)
        return Activated(state.activation_id, enrolment.fingerprint(state), told_recovery(pending, answer))

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
        async with self._signing:
            temporary_key = await self._activation_key()
            now_ms = self.server.now_ms()
            request, session = self._keeper.update(
                lambda state: client.begin_mac_token(state, unlock, temporary_key, self._random, now_ms)
            )
            answer = await self._send(request, EciesResponse)

        def keep(state: PhoneState) -> tuple[PhoneState, str]:
            changed = client.finish_mac_token(state, session, answer)
            return changed, changed.mac_token_id or ""

        return self._keeper.update(keep)

    async def token_header(self) -> str:
        """An X-PowerAuth-Token header for a request to somebody else's server, who has it verified."""
        if self.state.mac_token_id is None:
            await self.create_token()
        await self.server.ask_time_once(self.state.server_url)
        return client.mac_token_header(self.state, self._random, self.server.now_ms())[TOKEN_HEADER]

    async def send_encrypted(
        self, path: str, shared_info1: str, content: object, shape: type[T], *, with_token: bool = False
    ) -> T:
        """An encrypted request of activation scope; its opened answer. `with_token`: with the MAC token's proof."""
        temporary_key = await self._activation_key()
        request, session = begin_encrypted(
            self.state,
            path,
            shared_info1,
            content,
            temporary_key=temporary_key,
            random=self._random,
            now_ms=self.server.now_ms(),
        )
        if with_token:
            await self.server.ask_time_once(self.state.server_url)
            proof = client.mac_token_header(self.state, self._random, self.server.now_ms())
            request = PhoneRequest(path, request.body, request.headers | proof, "mac token")
        return finish_encrypted(session, await self._send(request, EciesResponse), shape)

    async def send_encrypted_signed(
        self,
        unlock: Unlock,
        path: str,
        uri_id: str,
        shared_info1: str,
        content: object,
        shape: type[T],
        *,
        sign_content: bool = False,
    ) -> T:
        """An encrypted request with a signature over the encrypted body; its opened answer. Raises SignatureRefused.

        `sign_content`: the signature is over what is encrypted instead.
        """
        async with self._signing:
            temporary_key = await self._activation_key()
            now_ms = self.server.now_ms()

            def change(state: PhoneState) -> tuple[PhoneState, tuple[PhoneRequest, EciesClientSession]]:
                return client.begin_encrypted_signed(
                    state,
                    unlock,
                    path,
                    uri_id,
                    shared_info1,
                    content,
                    temporary_key=temporary_key,
                    random=self._random,
                    now_ms=now_ms,
                    sign_content=sign_content,
                )

            request, session = self._keeper.update(change)
            return finish_encrypted(session, await self._send(request, EciesResponse), shape)

    async def unlock_vault(self, reason: str, unlock: Unlock) -> bytes:
        """The key of what the phone keeps sealed, 16 bytes. reason: one of `vault.REASONS`.

        Raises SignatureRefused, FactorsRefused.
        """
        path, content = "/pa/v3/vault/unlock", {"reason": reason}
        answer = await self.send_encrypted_signed(
            unlock, path, "/pa/vault/unlock", SH1_VAULT_UNLOCK, content, UnlockedVault
        )
        return open_vault_key(self.state, answer)

    async def sign_with_device_key(self, data: bytes, unlock: Unlock) -> bytes:
        """An ECDSA signature (DER) that anybody can verify with the device's public key; opens the vault for it."""
        vault_key = await self.unlock_vault(SIGN_WITH_DEVICE_KEY, unlock)
        return sign_with_device_key(self.state, vault_key, data)

    async def detail(self, unlock: Unlock) -> PhoneDetail:
        """What the server calls this phone. That takes a MAC token of two factors: the phone makes one and keeps it."""
        await self.create_token(unlock)
        path = "/pa/v3/activation/detail"
        answer = await self.send_encrypted(path, SH1_ACTIVATION, {}, DetailAnswer, with_token=True)
        return answer.response_object

    async def rename(self, name: str, unlock: Unlock) -> PhoneDetail:
        """Calls the phone something else, at the server and here. Raises SignatureRefused, RefusedByServer."""
        path, uri_id, content = "/pa/v3/activation/rename", "/pa/activation/rename", {"activationName": name}
        answer = await self.send_encrypted_signed(
            unlock, path, uri_id, SH1_ACTIVATION, content, DetailAnswer, sign_content=True
        )
        self._keeper.update(lambda state: (msgspec.structs.replace(state, activation_name=name), None))
        return answer.response_object

    async def confirm_recovery_code(self, recovery_code: str, unlock: Unlock) -> bool:
        """Says that the person has the postcard; whether somebody said so before. Raises RecoveryRefused."""
        path, uri_id, content = "/pa/v3/recovery/confirm", "/pa/recovery/confirm", {"recoveryCode": recovery_code}
        answer = await self.send_encrypted_signed(
            unlock, path, uri_id, SH1_RECOVERY_CONFIRM, content, RecoveryConfirmed
        )
        return answer.already_confirmed

    async def spawn_activation(self, app_id: str, otp: str, unlock: Unlock) -> SpawnedActivation:
        """An activation code for another app, whose phone has to send the same OTP. Raises RefusedByServer."""
        path, content = "/api/activation/code", {"requestObject": {"applicationId": app_id, "otp": otp}}
        return await self.send_encrypted_signed(
            unlock, path, path, SH1_ACTIVATION, content, SpawnedActivation, sign_content=True
        )

    async def user_info(self) -> dict[str, Any]:
        """What the back end tells this phone about its user (OpenID Connect claims)."""
        claims: dict[str, Any] = await self.send_encrypted("/pa/v3/user/info", SH1_ACTIVATION, {}, dict[str, Any])
        return claims

    async def register_push(self, kind: str = "local", push_token: str | None = None, key: bytes | None = None) -> str:
        """Tells the server where pushes reach this phone; returns the push token. `local` = `open_push_stream`.

        `key`: 32 bytes, which pushes are encrypted with from now on; empty = no more; None = as before.
        """
        push_token = push_token or self.state.push_token or self._random(16).hex()
        content = {"platform": kind, "token": push_token}
        if key is not None:
            content["encryptionKey"] = base64.b64encode(key).decode()
        await self._send(await self._token_request("/api/push/device/register/token", content), StatusOnly)
        return self._keeper.update(lambda state: (msgspec.structs.replace(state, push_token=push_token), push_token))

    def open_push_stream(self) -> PushStream:
        """Pushes as they come; goes on after the last one that this phone has seen. Register `local` first."""

        async def request() -> PhoneRequest:
            await self.server.ask_time_again(self.state.server_url)
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

    def _now_ms(self) -> int:
        return self._clock.now_ms()

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
        await self.server.ask_time_once(self.state.server_url)
        return client.token_request(self.state, path, content, self._random, self.server.now_ms())

    async def _activation_key(self) -> TemporaryKey | None:
        state = self.state
        configuration = read_configuration(state.sdk_config)
        return await self.server.encryption_key(state.server_url, configuration, state, state.protocol_version)
