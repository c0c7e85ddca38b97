"""Every error code that PowerAuth clients know is produced by a real request: the tables of the two APIs, in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]

from ringback.protocols.powerauth.headers import SIGNATURE_HEADER, TOKEN_HEADER
from ringback.softphone import MemoryState, Phone, RefusedByServer, Unlock
from ringback.softphone.client import POSSESSION
from ringback.store import Command, Tx
from tests.served import Answer, Login, Served

CLOUD = "/powerauth-cloud"
REGISTRATIONS = f"{CLOUD}/v2/registrations"
OPERATIONS = f"{CLOUD}/v2/operations"
VALIDATE = "/pa/v3/signature/validate"
AUTHORIZE = "/api/auth/token/app/operation/authorize"
PIN, WRONG_PIN = Unlock(pin="1234"), Unlock(pin="9999")
JSON = {"Content-Type": "application/json"}
_break_roles = Command("test_break_roles", "What no program writes.", "UPDATE apps SET roles = '!' WHERE id = $1")
_break_seal = Command(
    "test_break_seal", "A tampered secret.", "UPDATE app_versions SET app_secret_sealed = $2 WHERE app_id = $1"
)


class Refusal(NamedTuple):
    """What a client is told."""

    status: int
    code: str
    message: str


@dataclass
class Bank:
    """A server and short words for its requests."""

    served: Served

    async def cloud(self, method: str, path: str, body: Any = None, auth: Login | None = None) -> Refusal:
        return refusal_of(await self.served.call(method, CLOUD + path, body, auth=auth))

    async def mobile(self, path: str, body: Any = None, **options: Any) -> Refusal:
        return refusal_of(await self.served.phone_call("POST", path, body, **options))

    async def registered(self, **fields: Any) -> dict[str, Any]:
        body = {"userId": "alice", "appId": "bank", **fields}
        created: dict[str, Any] = (await self.served.call("POST", REGISTRATIONS, body)).body
        return created

    async def phone(self, *changes: str, user: str = "alice") -> tuple[Phone, str]:
        """An active phone, then blocked or removed, and its registration's id."""
        created = await self.registered(userId=user)
        phone = Phone(MemoryState(), session=self.served.session)
        code = created["activationQrCodeData"]
        await phone.activate(self.served.public, self.served.app["mobileSdkConfig"], code, name="Phone", pin="1234")
        path = f"{REGISTRATIONS}/{created['registrationId']}"
        assert (await self.served.call("POST", f"{path}/commit")).status == 200
        await phone.create_token()
        for change in changes:
            assert (await self.served.call("PUT", path, {"change": change})).status == 200
        return phone, created["registrationId"]

    async def signed(self, path: str, uri_id: str, body: bytes, unlock: Unlock = PIN) -> Refusal:
        phone, _ = await self.phone()
        return await self.signed_by(phone, path, uri_id, body, unlock)

    async def signed_by(self, phone: Phone, path: str, uri_id: str, body: bytes, unlock: Unlock = PIN) -> Refusal:
        headers = {SIGNATURE_HEADER: phone.sign("POST", uri_id, body, unlock), **JSON}
        return refusal_of(await self.served.phone_call("POST", path, data=body, headers=headers))

    async def operation(self, user: str = "alice", **fields: Any) -> str:
        body = {"userId": user, "template": "login", **fields}
        created = await self.served.call("POST", OPERATIONS, body)
        assert created.status == 200
        return str(created.body["operationId"])

    async def authorized(self, phone: Phone, operation_id: str, data: str = "A2") -> Refusal:
        body = b'{"requestObject":{"id":"%s","data":"%s"}}' % (operation_id.encode(), data.encode())
        return await self.signed_by(phone, AUTHORIZE, "/operation/authorize", body)

    async def spoil(self, command: Command, app_id: str, *args: Any) -> str:
        """An app whose row somebody changed behind the program's back."""
        await self.served.call("POST", f"{CLOUD}/admin/applications", {"id": app_id}, auth=self.served.admin)

        async def unit(tx: Tx) -> None:
            await tx.run(command, app_id, *args)

        await self.served.installation.store.write(unit)
        return f"/admin/applications/{app_id}"


def refusal_of(answer: Answer) -> Refusal:
    if answer.body["status"] == "OK":
        return Refusal(answer.status, "OK", "")
    shown = answer.body["responseObject"]
    return Refusal(answer.status, shown["code"], shown["message"])


async def refused(request: Awaitable[object]) -> Refusal:
    """What the server said to a phone."""
    try:
        await request
    except RefusedByServer as error:
        return Refusal(error.http_status, error.server_code, error.server_message)
    return Refusal(200, "OK", "")


# PowerAuth Cloud ------------------------------------------------------------------------------------------------------


async def registration(bank: Bank) -> Refusal:
    _, registration_id = await bank.phone()
    operation_id = await bank.operation(flag="vip")
    return await bank.cloud("GET", f"/v2/operations/{operation_id}/offline/qr?registrationId={registration_id}")


async def registration_not_found(bank: Bank) -> Refusal:
    return await bank.cloud("GET", f"/v2/registrations/{uuid4()}")


async def registration_not_allowed(bank: Bank) -> Refusal:
    await bank.registered(userId="bob")
    body = {"userId": "bob", "appId": "bank"}
    return await bank.cloud("POST", "/v2/registrations?incompleteStatusCheck=true", body)


async def registration_change(bank: Bank) -> Refusal:
    created = await bank.registered()
    return await bank.cloud("POST", f"/v2/registrations/{created['registrationId']}/commit")


async def operation_not_found(bank: Bank) -> Refusal:
    return await bank.cloud("GET", f"/v2/operations/{uuid4()}")


async def operation_state_change(bank: Bank) -> Refusal:
    path = f"/v2/operations/{await bank.operation()}"
    assert (await bank.cloud("DELETE", path)).code == "OK"
    return await bank.cloud("DELETE", path)


async def otp_invalid(bank: Bank) -> Refusal:
    _, registration_id = await bank.phone()
    body = {"otp": "12ab", "nonce": "AAAAAAAAAAAAAAAAAAAAAA==", "registrationId": registration_id}
    return await bank.cloud("POST", f"/v2/operations/{await bank.operation()}/offline/otp", body)


async def signature_header(bank: Bank) -> Refusal:
    body = {"method": "POST", "uriId": "/pay", "authHeader": "Basic x", "requestBody": ""}
    return await bank.cloud("POST", "/v2/signature/verify", body)


async def token_header(bank: Bank) -> Refusal:
    return await bank.cloud("POST", "/v2/token/verify", {"authHeader": 'PowerAuth version="1.0"'})


async def audit(bank: Bank) -> Refusal:
    return await bank.cloud("GET", "/audit/log?userId=alice&timestampFrom=2&timestampTo=1")


async def push_message(bank: Bank) -> Refusal:
    return await bank.cloud("POST", "/v2/messages/send", {"userId": "alice", "title": " ", "message": "text"})


async def inbox(bank: Bank) -> Refusal:
    body = {"userId": "alice", "type": "text", "subject": "", "summary": "summary", "body": "body"}
    return await bank.cloud("POST", "/v2/inbox/messages", body)


async def inbox_not_found(bank: Bank) -> Refusal:
    return await bank.cloud("GET", f"/v2/inbox/messages/{uuid4()}")


async def request(bank: Bank) -> Refusal:
    return await bank.cloud("POST", "/v2/registrations", {"userId": ""})


async def not_authenticated(bank: Bank) -> Refusal:
    return await bank.cloud("GET", "/v2/registrations?userId=alice", auth=Login("nobody", "nothing"))


async def not_found(bank: Bank) -> Refusal:
    return await bank.cloud("GET", "/v2/nothing")


async def generic(bank: Bank) -> Refusal:
    return await bank.cloud("GET", await bank.spoil(_break_roles, "spoilt"), auth=bank.served.admin)


async def internal_api(bank: Bank) -> Refusal:
    return await bank.cloud("GET", await bank.spoil(_break_seal, "tampered", b"x" * 60), auth=bank.served.admin)


Case = tuple[str, int, Callable[[Bank], Awaitable[Refusal]]]
CLOUD_CODES: list[Case] = [
    ("ERROR_REGISTRATION", 400, registration),
    ("ERROR_REGISTRATION_NOT_FOUND", 400, registration_not_found),
    ("ERROR_REGISTRATION_NOT_ALLOWED", 400, registration_not_allowed),
    ("ERROR_REGISTRATION_CHANGE", 400, registration_change),
    ("ERROR_OPERATION_NOT_FOUND", 400, operation_not_found),
    ("ERROR_OPERATION_STATE_CHANGE", 400, operation_state_change),
    ("ERROR_OTP_INVALID", 400, otp_invalid),
    ("ERROR_SIGNATURE_INVALID", 400, signature_header),
    ("ERROR_TOKEN_INVALID", 400, token_header),
    ("ERROR_AUDIT", 400, audit),
    ("ERROR_PUSH_MESSAGE", 400, push_message),
    ("ERROR_INBOX", 400, inbox),
    ("ERROR_INBOX_NOT_FOUND", 400, inbox_not_found),
    ("ERROR_REQUEST", 400, request),
    ("HTTP_401", 401, not_authenticated),
    ("ERROR_NOT_FOUND", 404, not_found),
    ("ERROR_GENERIC", 500, generic),
    ("ERROR_INTERNAL_API", 500, internal_api),
]


async def test_every_code_of_powerauth_cloud(served_sqlite: Served) -> None:
    bank = Bank(served_sqlite)
    for code, status, produce in CLOUD_CODES:
        said = await produce(bank)
        assert (said.status, said.code) == (status, code), said
        assert said.message


async def test_a_database_that_does_not_answer(served: Served) -> None:
    bank = Bank(served)
    assert (await bank.cloud("GET", f"/v2/registrations/{uuid4()}")).status == 400
    await served.installation.store.close()
    said = await bank.cloud("GET", f"/v2/registrations/{uuid4()}")
    assert (said.status, said.code) == (503, "ERROR_UNABLE_TO_CALL_UPSTREAM_SERVICE")


# phones ---------------------------------------------------------------------------------------------------------------


async def signature_invalid(bank: Bank) -> Refusal:
    return await bank.signed(VALIDATE, "/pa/signature/validate", b"{}", WRONG_PIN)


async def signature_type_invalid(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    return await refused(phone.unlock_vault("NOT_SPECIFIED", Unlock(biometry=True)))


async def mac_token_invalid(bank: Bank) -> Refusal:
    headers = {TOKEN_HEADER: 'PowerAuth version="3.3"', **JSON}
    return await bank.mobile("/pa/v3/activation/detail", data=b"{}", headers=headers)


async def header_missing(bank: Bank) -> Refusal:
    return await bank.mobile(VALIDATE, {})


async def request_invalid(bank: Bank) -> Refusal:
    return await bank.signed("/pa/v3/upgrade/commit", "/pa/upgrade/commit", b"")


async def activation_invalid(bank: Bank) -> Refusal:
    created = await bank.registered()
    code, configuration = created["activationQrCodeData"], bank.served.app["mobileSdkConfig"]
    path = f"{REGISTRATIONS}/{created['registrationId']}"
    assert (await bank.served.call("PUT", path, {"change": "REMOVE"})).status == 200
    phone = Phone(MemoryState(), session=bank.served.session)
    return await refused(phone.activate(bank.served.public, configuration, code, name="Phone", pin="1234"))


async def encryption_failed(bank: Bank) -> Refusal:
    return await bank.mobile("/pa/v3/activation/create", {"encryptedData": "", "mac": "", "ephemeralPublicKey": ""})


async def secure_vault(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    return await refused(phone.unlock_vault("CURIOSITY", PIN))


async def temporary_key(bank: Bank) -> Refusal:
    return await bank.mobile("/pa/v3/keystore/create", {"requestObject": {"jwt": "a.b.c"}})


async def upgrade(bank: Bank) -> Refusal:
    return await bank.signed("/pa/v3/upgrade/commit", "/pa/upgrade/commit", b"{}", POSSESSION)


async def user_info(bank: Bank) -> Refusal:
    phone, _ = await bank.phone("BLOCK")
    return await refused(phone.user_info())


async def recovery(bank: Bank) -> Refusal:
    phone = Phone(MemoryState(), session=bank.served.session)
    code, configuration = "VVVVV-VVVVV-VVVVV-VTFVA", bank.served.app["mobileSdkConfig"]
    return await refused(
        phone.activate_by_recovery(bank.served.public, configuration, code, "0123456789", name="Phone", pin="1234")
    )


async def auth_fail(bank: Bank) -> Refusal:
    return await bank.mobile("/api/auth/token/app/operation/list", {})


async def invalid_request(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    headers = {TOKEN_HEADER: await phone.token_header(), **JSON}
    return await bank.mobile("/api/auth/token/app/operation/detail", data=b'{"requestObject":{}}', headers=headers)


async def invalid_activation(bank: Bank) -> Refusal:
    phone, _ = await bank.phone("BLOCK")
    return await refused(phone.list_operations())


async def invalid_application(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    return await refused(phone.spawn_activation("elsewhere", "123456", PIN))


async def invalid_operation(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    return await bank.authorized(phone, str(uuid4()))


async def finished(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    operation_id = await bank.operation()
    assert (await bank.authorized(phone, operation_id)).code == "OK"
    return await bank.authorized(phone, operation_id)


async def failed(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    operation_id = await bank.operation()
    for _ in range(5):
        assert (await bank.authorized(phone, operation_id, "A1")).code == "OPERATION_FAILED"
    return await bank.authorized(phone, operation_id)


async def canceled(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    operation_id = await bank.operation()
    assert (await bank.cloud("DELETE", f"/v2/operations/{operation_id}")).code == "OK"
    return await bank.authorized(phone, operation_id)


async def expired(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    operation_id = await bank.operation(timestampExpires=int(time.time() * 1000) + 5_000)
    await asyncio.sleep(5.1)
    return await bank.authorized(phone, operation_id)


async def requires_flag(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    return await bank.authorized(phone, await bank.operation(flag="vip"))


async def operation_failed(bank: Bank) -> Refusal:
    phone, _ = await bank.phone()
    return await bank.authorized(phone, await bank.operation(), "something else")


MobileCase = tuple[str, str, int, Callable[[Bank], Awaitable[Refusal]]]
MOBILE_CODES: list[MobileCase] = [
    ("ERR_AUTHENTICATION", "POWER_AUTH_SIGNATURE_INVALID", 401, signature_invalid),
    ("ERR_AUTHENTICATION", "POWER_AUTH_SIGNATURE_TYPE_INVALID", 401, signature_type_invalid),
    ("ERR_AUTHENTICATION", "POWER_AUTH_TOKEN_INVALID", 401, mac_token_invalid),
    ("ERR_AUTHENTICATION", "POWER_AUTH_HTTP_HEADER_MISSING", 401, header_missing),
    ("ERR_AUTHENTICATION", "POWER_AUTH_REQUEST_INVALID", 401, request_invalid),
    ("ERR_ACTIVATION", "POWER_AUTH_ACTIVATION_INVALID", 400, activation_invalid),
    ("ERR_ENCRYPTION", "POWER_AUTH_ENCRYPTION_FAILED", 400, encryption_failed),
    ("ERR_SECURE_VAULT", "POWER_AUTH_SECURE_VAULT_INVALID", 400, secure_vault),
    ("ERR_TEMPORARY_KEY", "POWER_AUTH_TEMPORARY_KEY_FAILURE", 400, temporary_key),
    ("ERR_UPGRADE", "", 400, upgrade),
    ("ERR_USER_INFO", "", 400, user_info),
    ("ERR_RECOVERY", "", 400, recovery),
    ("POWERAUTH_AUTH_FAIL", "", 401, auth_fail),
    ("INVALID_REQUEST", "", 400, invalid_request),
    ("INVALID_ACTIVATION", "", 400, invalid_activation),
    ("INVALID_APPLICATION", "", 400, invalid_application),
    ("INVALID_OPERATION", "", 400, invalid_operation),
    ("OPERATION_ALREADY_FINISHED", "", 400, finished),
    ("OPERATION_ALREADY_FAILED", "", 400, failed),
    ("OPERATION_ALREADY_CANCELED", "", 400, canceled),
    ("OPERATION_EXPIRED", "", 400, expired),
    ("OPERATION_REQUIRES_ACTIVATION_FLAG", "", 400, requires_flag),
    ("OPERATION_FAILED", "", 401, operation_failed),
]


async def test_every_code_that_phones_know(served_sqlite: Served) -> None:
    bank = Bank(served_sqlite)
    for code, message, status, produce in MOBILE_CODES:
        said = await produce(bank)
        assert (said.status, said.code) == (status, code), (produce.__name__, said)
        assert said.message
        assert said.message == message or not message, said


async def test_two_phones_with_one_push_token_at_the_same_moment(served: Served, database_url: str) -> None:
    """Only PostgreSQL lets them meet. As on SQLite, where one comes after the other, the later one takes it over."""
    bank = Bank(served)
    (phone, _), (_, other) = [await bank.phone(user=name) for name in ("alice", "bob")]
    if not database_url:
        assert (await refused(phone.register_push("fcm", "same"))).code == "OK"
        return
    connection = await asyncpg.connect(database_url)
    faster = connection.transaction()
    await faster.start()
    await connection.execute(
        "INSERT INTO push_tokens (id, app_id, user_id, registration_id, kind, push_token, suspended, registered_at,"
        " version) VALUES ('faster', 'bank', 'bob', $1, 'fcm', 'same', FALSE, 0, 1)",
        other,
    )
    slower = asyncio.create_task(refused(phone.register_push("fcm", "same")))
    while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert not slower.done()
        await asyncio.sleep(0.01)
    await faster.commit()
    assert (await slower).code == "OK"
    owners = await connection.fetch("SELECT user_id FROM push_tokens WHERE push_token = 'same'")
    await connection.close()
    assert [owner["user_id"] for owner in owners] == ["alice"]
