"""The room over real HTTP: paths, field names, codes and statuses as the foreign APIs have them."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from ringback.clock import SystemClock
from ringback.protocols.powerauth.ecies import EciesResponse
from ringback.protocols.powerauth.headers import (
    ENCRYPTION_HEADER,
    SIGNATURE_HEADER,
    TOKEN_HEADER,
    build_encryption_header,
    build_signature_header,
    build_token_header,
)
from ringback.protocols.powerauth.signature import canonical_query
from ringback.protocols.powerauth.temporary_key_client import TemporaryKey
from tests.devices.phone import TestPhone
from tests.served import Answer, Served

REGISTRATIONS = "/powerauth-cloud/v2/registrations"
VERIFY = "/powerauth-cloud/v2/signature/verify"
JSON = {"Content-Type": "application/json"}


def refusal(answer: Answer) -> tuple[int, str]:
    assert answer.body["status"] == "ERROR"
    assert answer.body["responseObject"]["message"]
    return answer.status, answer.body["responseObject"]["code"]


async def key_of(served: Served, phone: TestPhone, *, activation: bool = False) -> TemporaryKey | None:
    """A temporary key; None for a phone whose version has none."""
    if not phone.version.temporary_keys:
        return None
    jwt, challenge = phone.temporary_key_request(activation=activation)
    answer = await served.phone_call("POST", "/pa/v3/keystore/create", {"requestObject": {"jwt": jwt}})
    assert answer.status == 200
    return phone.temporary_key(answer.body["responseObject"]["jwt"], challenge, activation=activation)


async def activate(served: Served, phone: TestPhone, code: str) -> Answer:
    body, sessions = phone.activation_request(await key_of(served, phone), code)
    headers = {**JSON, ENCRYPTION_HEADER: build_encryption_header(phone.encryption_header)}
    answer = await served.phone_call("POST", "/pa/v3/activation/create", data=body, headers=headers)
    if answer.status == 200:
        phone.finish_activation(msgspec.convert(answer.body, EciesResponse), sessions)
    return answer


async def active_phone(served: Served, user_id: str = "jan", version: str = "3.3") -> TestPhone:
    created = await served.call("POST", REGISTRATIONS, {"userId": user_id, "appId": "bank"})
    phone = TestPhone(served.app["mobileSdkConfig"], SystemClock(), version)
    assert (await activate(served, phone, created.body["activationCode"])).status == 200
    assert (await served.call("POST", f"{REGISTRATIONS}/{phone.id}/commit")).body == {"status": "OK"}
    return phone


async def signed(served: Served, phone: TestPhone, path: str, uri_id: str, body: bytes, **options: Any) -> Answer:
    method = options.pop("method", "POST")
    header = build_signature_header(phone.sign(method, uri_id, options.pop("covers", body), **options))
    return await served.phone_call(method, path, data=body, headers={**JSON, SIGNATURE_HEADER: header})


async def mac_token(served: Served, phone: TestPhone, signature_type: str = "possession") -> None:
    body, session = phone.mac_token_request(await key_of(served, phone, activation=True))
    answer = await signed(served, phone, "/pa/v3/token/create", "/pa/token/create", body, signature_type=signature_type)
    assert answer.status == 200
    extra = {"nonce", "timestamp"} if phone.version.envelope_timestamp else set()
    assert set(answer.body) == {"encryptedData", "mac", *extra}
    phone.finish_mac_token(msgspec.convert(answer.body, EciesResponse), session)


async def test_the_story_of_the_tutorial(served: Served) -> None:
    created = await served.call("POST", REGISTRATIONS, {"userId": "jan", "appId": "bank"})
    assert created.status == 200
    assert set(created.body) == {
        "registrationId", "activationCode", "activationCodeSignature", "activationQrCodeData"
    }  # fmt: skip
    id_ = created.body["registrationId"]
    detail = (await served.call("GET", f"{REGISTRATIONS}/{id_}")).body
    assert detail["registrationStatus"] == "CREATED"
    assert detail["activationCode"] == created.body["activationCode"]
    phone = TestPhone(served.app["mobileSdkConfig"], SystemClock())
    answer = await activate(served, phone, created.body["activationCode"])
    assert set(answer.body) == {"encryptedData", "mac", "nonce", "timestamp"}
    detail = (await served.call("GET", f"{REGISTRATIONS}/{id_}")).body
    assert set(detail) == {
        "registrationId", "registrationStatus", "userId", "applicationId", "flags", "timestampCreated",
        "timestampLastUsed", "name", "platform", "deviceInfo", "activationFingerprint", "failedAttempts",
        "maxFailedAttempts",
    }  # fmt: skip
    body = {"registrationId": id_, "externalUserId": "any id of your employee"}
    assert (await served.call("POST", f"{REGISTRATIONS}/{id_}/commit", body)).body == {"status": "OK"}
    assert refusal(await served.call("POST", f"{REGISTRATIONS}/{id_}/commit", body)) == (
        400,
        "ERROR_REGISTRATION_CHANGE",
    )
    assert refusal(await served.call("DELETE", f"{REGISTRATIONS}/{id_}", body)) == (400, "ERROR_REGISTRATION_CHANGE")
    change = {"change": "BLOCK", "blockReason": "The reason for blocking", "externalUserId": "any"}
    assert (await served.call("PUT", f"{REGISTRATIONS}/{id_}", change)).body == {"status": "OK"}
    listed = await served.call("GET", f"{REGISTRATIONS}/?userId=jan")
    (item,) = listed.body["registrations"]
    assert (item["registrationStatus"], item["blockedReason"]) == ("BLOCKED", "The reason for blocking")
    assert "userId" not in item
    assert (await served.call("PUT", f"{REGISTRATIONS}/{id_}", {"change": "REMOVE"})).status == 200
    assert (await served.call("GET", f"{REGISTRATIONS}?userId=jan")).body == {"registrations": []}
    assert len((await served.call("GET", f"{REGISTRATIONS}?userId=jan&removed=true")).body["registrations"]) == 1


async def test_delete_takes_a_body_or_none(served_sqlite: Served) -> None:
    for body in (None, {"registrationId": "{userId}", "externalUserId": "{any id of your employee}"}):
        created = await served_sqlite.call("POST", REGISTRATIONS, {"userId": "jan", "appId": "bank"})
        path = f"{REGISTRATIONS}/{created.body['registrationId']}"
        assert (await served_sqlite.call("DELETE", path, body)).body == {"status": "OK"}


async def test_message_signing(served: Served) -> None:
    phone = await active_phone(served)
    header = build_signature_header(phone.sign("POST", "/mobile/login", b"log"))
    request = {"method": "POST", "uriId": "/mobile/login", "authHeader": header, "requestBody": "bG9n"}
    first = await served.call("POST", VERIFY, request)
    assert first.body == {
        "signatureValid": True,
        "userId": "jan",
        "registrationId": phone.id,
        "registrationStatus": "ACTIVE",
        "signatureType": "possession_knowledge",
        "remainingAttempts": 5,
        "flags": [],
        "application": {"id": "bank", "roles": []},
    }
    again = await served.call("POST", VERIFY, request)
    assert (again.status, again.body["signatureValid"], again.body["remainingAttempts"]) == (200, False, 4)
    parameters = {"b": "2 ž", "a": "&="}
    header = build_signature_header(phone.sign("GET", "/list", canonical_query(parameters), "possession_biometry"))
    request = {"method": "GET", "uriId": "/list", "authHeader": header, "queryParams": parameters}
    assert (await served.call("POST", VERIFY, request)).body["signatureValid"]


async def test_the_printed_payload_is_of_an_unknown_registration(served_sqlite: Served) -> None:
    printed = {
        "method": "POST",
        "uriId": "/mobile/login",
        "authHeader": 'PowerAuth pa_activation_id="a4452997-45c0-4667-bb24-c7d39337b9c0",'
        ' pa_application_key="GlxZ1Qe70pGAG/ek0BvNXw==", pa_nonce="2I9gzcP5uJtX3RUr9Qp5Bg==",'
        ' pa_signature_type="possession_knowledge",'
        ' pa_signature="LLUZvtWpXwXWZlPzwRFG7PBFQdQkp5h/K/dxWiUi2A8=", pa_version="3.1"',
        "requestBody": "bG9n",
    }
    answer = await served_sqlite.call("POST", VERIFY, printed)
    assert answer.status == 200
    assert answer.body == {
        "signatureValid": False,
        "registrationId": "a4452997-45c0-4667-bb24-c7d39337b9c0",
        "registrationStatus": "REMOVED",
        "signatureType": "possession_knowledge",
        "remainingAttempts": 0,
        "flags": [],
    }


async def test_another_tenant_sees_nothing(served: Served) -> None:
    phone = await active_phone(served)
    _, stranger = await served.new_tenant("other")
    for id_ in (phone.id, "unknown"):
        path = f"{REGISTRATIONS}/{id_}"
        for method, where, body in (
            ("GET", path, None),
            ("DELETE", path, None),
            ("POST", f"{path}/commit", {}),
            ("PUT", path, {"change": "REMOVE"}),
        ):
            answer = await served.call(method, where, body, auth=stranger)
            assert refusal(answer) == (400, "ERROR_REGISTRATION_NOT_FOUND")
    assert (await served.call("GET", f"{REGISTRATIONS}?userId=jan", auth=stranger)).body == {"registrations": []}
    answers = []
    for id_ in (phone.id, "unknown"):
        header = msgspec.structs.replace(phone.sign("POST", "/login", b""), activation_id=id_)
        request = {"method": "POST", "uriId": "/login", "authHeader": build_signature_header(header)}
        answers.append((await served.call("POST", VERIFY, request, auth=stranger)).body)
    assert {**answers[0], "registrationId": "unknown"} == answers[1]
    assert not answers[1]["signatureValid"]
    answer = await served.call("POST", REGISTRATIONS, {"userId": "jan", "appId": "bank"}, auth=stranger)
    assert refusal(answer) == (400, "ERROR_REQUEST")
    assert (await served.call("GET", f"{REGISTRATIONS}/{phone.id}")).body["registrationStatus"] == "ACTIVE"


BAD_REGISTRATIONS: list[Any] = [
    ({"appId": "bank"}, "userId"),
    ({"userId": "", "appId": "bank"}, "userId"),
    ({"userId": "x" * 256, "appId": "bank"}, "userId"),
    ({"userId": "jan"}, "appId"),
    ({"userId": 7, "appId": "bank"}, "userId"),
    ({"userId": "jan", "appId": "bank", "otp": ""}, "otp"),
    ({"userId": "jan", "appId": "bank", "otpValidation": "ON_KEY_EXCHANGE"}, "otp"),
    ({"userId": "jan", "appId": "bank", "commitPhase": "LATER"}, "commitPhase"),
    ({"userId": "jan", "appId": "bank", "timestampRegistrationExpire": 1}, "timestampRegistrationExpire"),
    ({"userId": "jan", "appId": "bank", "flags": ["a", ""]}, "flags"),
    ({"userId": "j\0n", "appId": "bank"}, "body"),
    ([], "body"),
]


async def test_bad_registrations_are_refused_by_field(served_sqlite: Served) -> None:
    for body, field in BAD_REGISTRATIONS:
        answer = await served_sqlite.call("POST", REGISTRATIONS, body)
        assert refusal(answer) == (400, "ERROR_REQUEST"), body
        assert answer.body["responseObject"]["violations"][0]["fieldName"].startswith(field), body


async def test_one_in_progress_is_enough_when_asked(served_sqlite: Served) -> None:
    body = {"userId": "jan", "appId": "bank"}
    for query, expected in (("", 200), ("?incompleteStatusCheck=false", 200), ("?incompleteStatusCheck=true", 400)):
        assert (await served_sqlite.call("POST", REGISTRATIONS + query, body)).status == expected
    answer = await served_sqlite.call("POST", f"{REGISTRATIONS}?incompleteStatusCheck=true", body)
    assert refusal(answer) == (400, "ERROR_REGISTRATION_NOT_ALLOWED")


BAD_CHECKS: list[Any] = [
    ({"authHeader": ""}, "ERROR_SIGNATURE_INVALID", None),
    ({"authHeader": "Basic x"}, "ERROR_SIGNATURE_INVALID", None),
    ({"authHeader": "x" * 9000}, "ERROR_REQUEST", "authHeader"),
    ({"method": "PATCH"}, "ERROR_REQUEST", "method"),
    ({"uriId": ""}, "ERROR_REQUEST", "uriId"),
    ({"requestBody": "no Base64"}, "ERROR_REQUEST", "requestBody"),
    ({"queryParams": {"a": 1}, "method": "GET"}, "ERROR_REQUEST", "queryParams"),
]


async def test_bad_checks_are_refused(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    header = build_signature_header(phone.sign("POST", "/login", b""))
    for change, code, field in BAD_CHECKS:
        request = {"method": "POST", "uriId": "/login", "authHeader": header, "requestBody": "", **change}
        answer = await served_sqlite.call("POST", VERIFY, request)
        assert refusal(answer) == (400, code), change
        if field:
            assert answer.body["responseObject"]["violations"][0]["fieldName"].startswith(field), change


async def test_unknown_types_and_versions_are_malformed(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    signed_header = build_signature_header(phone.sign("POST", "/login", b"", "possession"))
    for kind, version in (("nose", "3.3"), ("possession", "4.0"), ("possession", "9.9")):
        header = signed_header.replace('"possession"', f'"{kind}"').replace('"3.3"', f'"{version}"')
        request = {"method": "POST", "uriId": "/login", "authHeader": header}
        assert refusal(await served_sqlite.call("POST", VERIFY, request)) == (400, "ERROR_SIGNATURE_INVALID"), header


async def test_mac_tokens_and_their_checks(served: Served) -> None:
    phone = await active_phone(served)
    await mac_token(served, phone)
    header = build_token_header(phone.token_header())
    verify = "/powerauth-cloud/v2/token/verify"
    answer = await served.call("POST", verify, {"authHeader": header})
    assert answer.body == {
        "tokenValid": True,
        "userId": "jan",
        "registrationId": phone.id,
        "registrationStatus": "ACTIVE",
        "signatureType": "possession",
        "application": {"id": "bank", "roles": []},
    }
    assert not (await served.call("POST", verify, {"authHeader": header})).body["tokenValid"]
    assert refusal(await served.call("POST", verify, {"authHeader": "?"})) == (400, "ERROR_TOKEN_INVALID")
    push = {"requestObject": {"platform": "ios", "token": "ab" * 32, "environment": "development", "encryptionKey": ""}}
    for path in ("/api/push/device/register", "/api/push/device/register/token"):
        headers = {TOKEN_HEADER: build_token_header(phone.token_header())}
        assert (await served.phone_call("POST", path, push, headers=headers)).body == {"status": "OK"}
        assert refusal(await served.phone_call("POST", path, push, headers=headers)) == (401, "POWERAUTH_AUTH_FAIL")
        assert refusal(await served.phone_call("POST", path, push)) == (401, "POWERAUTH_AUTH_FAIL")
        headers = {TOKEN_HEADER: build_token_header(phone.token_header())}
        bad = {"requestObject": {"platform": "pager", "token": "T1"}}
        assert refusal(await served.phone_call("POST", path, bad, headers=headers)) == (400, "INVALID_REQUEST")
    assert phone.mac_token is not None
    wanted = msgspec.json.encode({"requestObject": {"tokenId": phone.mac_token[0]}})
    answer = await signed(served, phone, "/pa/v3/token/remove", "/pa/token/remove", wanted)
    assert answer.body == {"status": "OK", "responseObject": {"tokenId": phone.mac_token[0]}}
    headers = {TOKEN_HEADER: build_token_header(phone.token_header())}
    assert (await served.phone_call("POST", "/api/push/device/register", push, headers=headers)).status == 401


async def test_signatures_of_every_method_are_validated(served_sqlite: Served) -> None:
    phone = await active_phone(served_sqlite)
    for method in ("GET", "POST", "PUT", "DELETE"):
        await check_validation(served_sqlite, phone, method)


async def check_validation(served: Served, phone: TestPhone, method: str) -> None:
    query, body = "?b=2%20x&a=%C5%BE&a=", b"" if method == "GET" else b"\x00\xff"
    covers = canonical_query([("b", "2 x"), ("a", "ž"), ("a", "")]) if method == "GET" else body
    path, uri_id = "/pa/v3/signature/validate" + query, "/pa/signature/validate"
    answer = await signed(served, phone, path, uri_id, body, method=method, covers=covers)
    assert (answer.status, answer.body) == (200, {"status": "OK"})
    answer = await signed(served, phone, path, uri_id, body, method=method, covers=covers + b"!")
    assert refusal(answer) == (401, "ERR_AUTHENTICATION")
    assert answer.body["responseObject"]["message"] == "POWER_AUTH_SIGNATURE_INVALID"


async def test_what_a_phone_is_told_when_its_header_is_wrong(served_sqlite: Served) -> None:
    served = served_sqlite
    phone = await active_phone(served)
    remove = "/pa/v3/activation/remove"

    async def told(headers: dict[str, str], path: str = remove) -> tuple[int, str, str]:
        answer = await served.phone_call("POST", path, data=b"{}", headers={**JSON, **headers})
        return (*refusal(answer), answer.body["responseObject"]["message"])

    authentication = (401, "ERR_AUTHENTICATION")
    assert await told({}) == (*authentication, "POWER_AUTH_HTTP_HEADER_MISSING")
    assert await told({SIGNATURE_HEADER: "PowerAuth x"}) == (*authentication, "POWER_AUTH_SIGNATURE_INVALID")
    weak = build_signature_header(phone.sign("POST", "/pa/activation/remove", b"{}", "possession"))
    assert await told({SIGNATURE_HEADER: weak}) == (*authentication, "POWER_AUTH_SIGNATURE_TYPE_INVALID")
    encryption = (400, "ERR_ENCRYPTION", "POWER_AUTH_ENCRYPTION_FAILED")
    assert await told({}, "/pa/v3/activation/create") == encryption
    right = {ENCRYPTION_HEADER: build_encryption_header(phone.encryption_header)}
    assert await told(right, "/pa/v3/activation/create") == encryption
    failure = (400, "ERR_TEMPORARY_KEY", "POWER_AUTH_TEMPORARY_KEY_FAILURE")
    assert await told({}, "/pa/v3/keystore/create") == failure
    assert await told({}, "/pa/v3/activation/status") == (400, "ERR_ACTIVATION", "POWER_AUTH_ACTIVATION_INVALID")
    answer = await served.phone_call("POST", "/pa/v3/status", {})
    assert abs(answer.body["responseObject"]["serverTime"] - SystemClock().now_ms()) < 60_000
    assert set(answer.body["responseObject"]["application"]) == {"name", "version"}


async def test_a_wrong_code_and_the_status_of_a_removed_phone(served: Served) -> None:
    stranger = TestPhone(served.app["mobileSdkConfig"], SystemClock())
    assert refusal(await activate(served, stranger, "AAAAA-AAAAA-AAAAA-AAAAA")) == (400, "ERR_ACTIVATION")
    phone = await active_phone(served)
    answer = await signed(served, phone, "/pa/v3/activation/remove", "/pa/activation/remove", b"")
    assert answer.body == {"status": "OK", "responseObject": {"activationId": phone.id}}
    request = {"requestObject": {"activationId": phone.id, "challenge": base64.b64encode(bytes(16)).decode()}}
    status = await served.phone_call("POST", "/pa/v3/activation/status", request)
    assert status.status == 200
    assert set(status.body["responseObject"]) == {"activationId", "encryptedStatusBlob", "nonce", "customObject"}
    assert refusal(await signed(served, phone, "/pa/v3/signature/validate", "/pa/signature/validate", b"")) == (
        401, "ERR_AUTHENTICATION"
    )  # fmt: skip
