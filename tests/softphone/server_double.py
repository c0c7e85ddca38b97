"""A PowerAuth server for one phone, made from the server halves of the protocol alone.

It knows no room of the product, so that these tests say something about the phone even when a room is broken.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from ringback.clock import ManualClock
from ringback.protocols.powerauth import keys as p256
from ringback.protocols.powerauth.activation_code import build_qr, generate_activation_code, sign_activation_code
from ringback.protocols.powerauth.base64_text import decode_base64, encode_base64
from ringback.protocols.powerauth.derived_keys import derive_activation_keys
from ringback.protocols.powerauth.ecies import (
    SH1_ACTIVATION_LAYER_2,
    SH1_APPLICATION,
    SH1_TOKEN_CREATE,
    EciesEnvelope,
    activation_base,
    application_base,
)
from ringback.protocols.powerauth.ecies_server import EciesSession, open_request
from ringback.protocols.powerauth.fingerprint import activation_fingerprint
from ringback.protocols.powerauth.headers import parse_encryption_header, parse_signature_header, parse_token_header
from ringback.protocols.powerauth.sdk_configuration import SdkConfiguration, build_sdk_configuration
from ringback.protocols.powerauth.signature import factor_keys, normalized_data, verify_signature
from ringback.protocols.powerauth.status_blob import StatusBlob, build_status_blob, counter_hash
from ringback.protocols.powerauth.temporary_key import TemporaryKeyResponseClaims, activation_hmac_key
from ringback.protocols.powerauth.temporary_key_server import (
    build_temporary_key_response,
    parse_temporary_key_request,
    verify_temporary_key_request,
)
from ringback.protocols.powerauth.token import verify_token_digest
from ringback.protocols.powerauth.versions import ProtocolVersion

CODES = {"CREATED": 1, "PENDING_COMMIT": 2, "ACTIVE": 3, "BLOCKED": 4, "REMOVED": 5}


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.answer = web.json_response(
            {"status": "ERROR", "responseObject": {"code": code, "message": message}}, status=status
        )


class ServerDouble:
    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.url = ""
        self.app_key, self.app_secret = os.urandom(16), os.urandom(16)
        self.master = p256.generate_private_key()
        self.temporary: dict[str, p256.PrivateKey] = {}
        self.code = generate_activation_code(os.urandom)
        self.status = "CREATED"
        self.failed = 0
        self.seen: list[str] = []
        self.operations: dict[str, dict[str, Any]] = {}
        self.approved: list[str] = []
        self.rejected: dict[str, str] = {}
        self.events: list[tuple[str, str]] = []
        self.streams: list[str | None] = []
        self.before_event: Callable[[], None] = lambda: None
        self.sign_temporary_keys_with: p256.PrivateKey | None = None

    @property
    def app_secret_text(self) -> str:
        return encode_base64(self.app_secret)

    @property
    def sdk_config(self) -> str:
        public = p256.public_key_to_bytes(self.master.public_key())
        return build_sdk_configuration(SdkConfiguration(self.app_key, self.app_secret, {1: public}))

    @property
    def qr(self) -> str:
        return build_qr(self.code, sign_activation_code(self.master, self.code))

    def application(self) -> web.Application:
        app = web.Application()
        base = "/enrollment-server"
        operation = "/api/auth/token/app/operation"
        for path, handler in {
            "/pa/v3/status": self.server_status,
            "/pa/v3/keystore/create": self.keystore,
            "/pa/v3/activation/create": self.create,
            "/pa/v3/activation/status": self.activation_status,
            "/pa/v3/activation/remove": self.remove,
            "/pa/v3/signature/validate": self.validate,
            "/pa/v3/token/create": self.token_create,
            "/api/push/device/register/token": self.push_register,
            f"{operation}/list": self.operation_list,
            f"{operation}/detail": self.operation_detail,
            f"{operation}/authorize": self.authorize,
            f"{operation}/cancel": self.cancel,
        }.items():
            app.router.add_post(base + path, self._noted(path, handler))
        app.router.add_get(base + "/api/push/local/stream", self.stream)
        return app

    def _noted(self, path: str, handler: Any) -> Any:
        async def call(request: web.Request) -> web.StreamResponse:
            self.seen.append(path)
            try:
                return await handler(request)
            except Refused as refused:
                return refused.answer

        return call

    async def server_status(self, _: web.Request) -> web.Response:
        return ok({"serverTime": self.clock.now_ms(), "application": {"name": "double", "version": "1"}})

    async def keystore(self, request: web.Request) -> web.Response:
        jwt = (await request.json())["requestObject"]["jwt"]
        claims = parse_temporary_key_request(jwt)
        hmac_key, signer = self.app_secret, self.master
        if claims.activation_id is not None:
            assert claims.activation_id == self.activation_id
            hmac_key, signer = activation_hmac_key(self.keys.transport, self.app_secret), self.server_key
        verify_temporary_key_request(jwt, hmac_key)
        key_id, key, now = str(uuid.uuid4()), p256.generate_private_key(), self.clock.now_ms()
        self.temporary[key_id] = key
        answer = TemporaryKeyResponseClaims(
            sub=key_id,
            application_key=claims.application_key,
            activation_id=claims.activation_id,
            challenge=claims.challenge,
            public_key=encode_base64(p256.public_key_to_bytes(key.public_key())),
            iat=now // 1000,
            exp=(now + 300_000) // 1000,
            iat_ms=now,
            exp_ms=now + 300_000,
        )
        return ok({"jwt": build_temporary_key_response(self.sign_temporary_keys_with or signer, answer)})

    def _opens(self, envelope: EciesEnvelope, version: ProtocolVersion, lasting: p256.PrivateKey) -> p256.PrivateKey:
        return self.temporary[envelope.temporary_key_id or ""] if version.temporary_keys else lasting

    def _assert_timely(self, session: EciesSession) -> None:
        assert (session.timestamp is not None) is session.version.envelope_timestamp
        assert session.timestamp is None or abs(session.timestamp - self.clock.now_ms()) < 60_000

    async def create(self, request: web.Request) -> web.Response:
        header = parse_encryption_header(request.headers["X-PowerAuth-Encryption"])
        assert header.activation_id is None

        def open_layer(raw: bytes, shared_info1: str) -> Any:
            envelope = msgspec.json.decode(raw, type=EciesEnvelope)
            plain, session = open_request(
                envelope,
                version=header.version,
                private_key=self._opens(envelope, header.version, self.master),
                shared_info1=shared_info1,
                base=application_base(self.app_secret_text),
                application_key=header.application_key,
            )
            self._assert_timely(session)
            return msgspec.json.decode(plain), session

        layer1, outer = open_layer(await request.read(), SH1_APPLICATION)
        layer2, inner = open_layer(msgspec.json.encode(layer1["activationData"]), SH1_ACTIVATION_LAYER_2)
        if layer1["type"] != "CODE" or layer1["identityAttributes"]["code"] != self.code or self.status != "CREATED":
            raise Refused(400, "ERR_ACTIVATION", "POWER_AUTH_ACTIVATION_INVALID")
        self.device_public = p256.public_key_from_bytes(decode_base64(layer2["devicePublicKey"], limit=65))
        self.server_key = p256.generate_private_key()
        self.activation_id, self.counter, self.counter_data = str(uuid.uuid4()), 0, os.urandom(16)
        self.keys = derive_activation_keys(p256.master_secret(self.server_key, self.device_public))
        self.status, self.name = "PENDING_COMMIT", layer2["activationName"]
        inner_answer = inner.seal_response(
            msgspec.json.encode(
                {
                    "activationId": self.activation_id,
                    "serverPublicKey": encode_base64(p256.public_key_to_bytes(self.server_key.public_key())),
                    "ctrData": encode_base64(self.counter_data),
                }
            ),
            os.urandom,
            self.clock.now_ms(),
        )
        outer_answer = outer.seal_response(
            msgspec.json.encode({"activationData": inner_answer, "customAttributes": {}}),
            os.urandom,
            self.clock.now_ms(),
        )
        return web.Response(body=msgspec.json.encode(outer_answer), content_type="application/json")

    @property
    def fingerprint(self) -> str:
        return activation_fingerprint(self.device_public, self.activation_id, self.server_key.public_key())

    async def activation_status(self, request: web.Request) -> web.Response:
        asked = (await request.json())["requestObject"]
        nonce = os.urandom(16)
        if self.status == "CREATED" or asked["activationId"] != self.activation_id:
            blob = os.urandom(32)
        else:
            blob = build_status_blob(
                self.keys.transport,
                decode_base64(asked["challenge"], limit=16),
                nonce,
                StatusBlob(
                    CODES[self.status],
                    3,
                    3,
                    self.counter & 0xFF,
                    self.failed,
                    5,
                    20,
                    counter_hash=counter_hash(self.keys.transport, self.counter_data),
                ),
            )
        return ok(
            {
                "activationId": asked["activationId"],
                "encryptedStatusBlob": encode_base64(blob),
                "nonce": encode_base64(nonce),
                "customObject": None,
            }
        )

    def check_header(self, text: str, method: str, uri_id: str, body: bytes) -> bool:
        header = parse_signature_header(text)
        data = normalized_data(method, uri_id, header.nonce, body, self.app_secret_text)
        keys = factor_keys(self.keys, header.signature_type)
        match = verify_signature(keys, self.counter_data, 20, data, header.signature, header.version)
        if self.status != "ACTIVE":
            return False
        if match is None:
            self.failed += header.signature_type != "possession"
            if self.failed >= 5:
                self.status = "BLOCKED"
            return False
        self.counter, self.counter_data = self.counter + match.offset + 1, match.next_counter
        self.failed = 0 if header.signature_type != "possession" else self.failed
        return True

    async def _signed(self, request: web.Request, uri_id: str) -> bytes:
        body = await request.read()
        if not self.check_header(request.headers["X-PowerAuth-Authorization"], "POST", uri_id, body):
            raise Refused(401, "ERR_AUTHENTICATION", "POWER_AUTH_SIGNATURE_INVALID")
        return body

    async def validate(self, request: web.Request) -> web.Response:
        await self._signed(request, "/pa/signature/validate")
        return web.json_response({"status": "OK"})

    async def remove(self, request: web.Request) -> web.Response:
        await self._signed(request, "/pa/activation/remove")
        self.status = "REMOVED"
        return ok({"activationId": self.activation_id})

    async def token_create(self, request: web.Request) -> web.Response:
        assert "X-PowerAuth-Encryption" not in request.headers
        body = await self._signed(request, "/pa/token/create")
        envelope = msgspec.json.decode(body, type=EciesEnvelope)
        version = parse_signature_header(request.headers["X-PowerAuth-Authorization"]).version
        plain, session = open_request(
            envelope,
            version=version,
            private_key=self._opens(envelope, version, self.server_key),
            shared_info1=SH1_TOKEN_CREATE,
            base=activation_base(self.keys.transport, self.app_secret_text),
            application_key=encode_base64(self.app_key),
            activation_id=self.activation_id,
        )
        assert plain == b"{}"
        self._assert_timely(session)
        self.token_id, self.token_secret = str(uuid.uuid4()), os.urandom(16)
        created = {"tokenId": self.token_id, "tokenSecret": encode_base64(self.token_secret)}
        answer = session.seal_response(msgspec.json.encode(created), os.urandom, self.clock.now_ms())
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    def _check_token(self, request: web.Request) -> None:
        header = parse_token_header(request.headers["X-PowerAuth-Token"])
        good = verify_token_digest(
            self.token_secret, header.nonce, header.timestamp, header.version, header.token_digest
        )
        good = good and header.token_id == self.token_id and self.status == "ACTIVE"
        if not good or abs(header.timestamp_ms - self.clock.now_ms()) > 60_000:
            raise Refused(401, "POWERAUTH_AUTH_FAIL", "Unable to verify device registration")

    async def push_register(self, request: web.Request) -> web.Response:
        self._check_token(request)
        self.push = (await request.json())["requestObject"]
        return web.json_response({"status": "OK"})

    async def operation_list(self, request: web.Request) -> web.Response:
        self._check_token(request)
        pending = [item for item in self.operations.values() if item["status"] == "PENDING"]
        return web.json_response(
            {"status": "OK", "currentTimestamp": "2026-01-01T00:00:00+0000", "responseObject": pending}
        )

    async def operation_detail(self, request: web.Request) -> web.Response:
        self._check_token(request)
        operation = self.operations.get((await request.json())["requestObject"]["id"])
        if operation is None:
            raise Refused(400, "INVALID_OPERATION", "No such operation")
        return ok(operation)

    async def authorize(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await self._signed(request, "/operation/authorize"))["requestObject"]
        assert asked["data"] == self.operations[asked["id"]]["data"]
        self.operations[asked["id"]]["status"] = "APPROVED"
        self.approved.append(asked["id"])
        return web.json_response({"status": "OK"})

    async def cancel(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await self._signed(request, "/operation/cancel"))["requestObject"]
        self.rejected[asked["id"]] = asked["reason"]
        return web.json_response({"status": "OK"})

    def add_operation(self) -> str:
        operation_id = str(uuid.uuid4())
        self.operations[operation_id] = {
            "id": operation_id,
            "name": "authorize_payment",
            "data": "A1*A100.00EUR*ICZ5508000000001234567899",
            "status": "PENDING",
            "operationCreated": "2026-11-21T14:43:13+0000",
            "operationExpires": "2026-11-21T14:48:13+0000",
            "allowedSignatureType": {"type": "2FA", "variants": ["possession_knowledge"]},
            "formData": {"title": "Payment", "message": "Pay 100 EUR?", "attributes": []},
        }
        return operation_id

    async def stream(self, request: web.Request) -> web.StreamResponse:
        try:
            self._check_token(request)
        except Refused as refused:
            return refused.answer
        last = request.headers.get("Last-Event-ID")
        self.streams.append(last)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": welcome\n\n")
        for event_id, data in self.events:
            if last is None or event_id > last:
                self.before_event()
                await response.write(f"id: {event_id}\nevent: push\ndata: {data}\n\n".encode())
                break  # then the connection breaks: the phone has to come back for the next one
        return response


def ok(response_object: object) -> web.Response:
    return web.json_response({"status": "OK", "responseObject": response_object})
