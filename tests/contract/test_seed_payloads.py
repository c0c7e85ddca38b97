"""Every payload that the PowerAuth Cloud tutorial prints, sent byte for byte, and answered as its API says.

Its placeholders, such as `<client-name>`, are legal names and stay as printed; only an id in a path is filled in.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from ringback.softphone import MemoryState, Phone
from tests.contract import tutorial
from tests.contract.tutorial import Printed
from tests.served import Answer, Login, Served

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CODE = re.compile(r"[A-Z2-7]{5}(-[A-Z2-7]{5}){3}")


class Reader:
    """Somebody who follows the tutorial."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.auth = served.admin
        self.app: dict[str, Any] = {}

    async def send(self, printed: Printed, object_id: str = "") -> Answer:
        """Sends the printed call. `object_id` is the id that the path has a placeholder for."""
        path = re.sub(r"\$\{\w+\}", object_id, printed.path)
        payload = printed.payload
        options: dict[str, Any] = {}
        url = quote(path, safe="/")
        if printed.method == "GET":
            url += "?" + urlencode({name: object_id or value for name, value in json.loads(payload).items()})
        else:
            options = {"data": payload.encode(), "headers": {"Content-Type": "application/json"}}
        return await self._served.call(printed.method, url, auth=self.auth, **options)

    async def onboard(self) -> tuple[Answer, Answer, Answer]:
        """Creating Integration Users, Creating Application, the assignment; then acts as the integration user."""
        user = await self.send(tutorial.CREATE_USER)
        application = await self.send(tutorial.CREATE_APPLICATION)
        allowed = await self.send(tutorial.ALLOW_APPLICATION)
        self.app = application.body
        self.auth = Login(user.body["username"], user.body["password"])
        return user, application, allowed

    async def scanned(self) -> str:
        """A registration whose QR code a phone has scanned."""
        created = (await self.send(tutorial.CREATE_REGISTRATION)).body
        async with Phone(MemoryState()) as phone:
            await phone.activate(
                self._served.public,
                self.app["mobileSdkConfig"],
                created["activationQrCodeData"],
                name="Phone",
                pin="1234",
            )
        return str(created["registrationId"])

    async def status(self, registration_id: str) -> str:
        """The registration's status as its list shows it; REMOVED when it is not in the list."""
        listed = (await self.send(tutorial.LIST_REGISTRATIONS)).body["registrations"]
        return {one["registrationId"]: one["registrationStatus"] for one in listed}.get(registration_id, "REMOVED")


@pytest.fixture
def reader(served: Served) -> Reader:
    return Reader(served)


async def test_system_user_application_and_assignment(reader: Reader) -> None:
    user, application, allowed = await reader.onboard()
    username, app_id = "<client-name>-integration-user", "<client-name>-mobile-banking"

    assert user.status == application.status == allowed.status == 200
    password = user.body.pop("password")
    assert re.fullmatch(r"[A-Za-z0-9]{24}", password)
    assert user.body == {"username": username, "enabled": True, "role": ["ROLE_USER"], "applications": []}
    assert allowed.body == {"username": username, "enabled": True, "role": ["ROLE_USER"], "applications": [app_id]}

    shown = application.body
    assert set(shown) == {
        "id", "serviceBaseUrl", "mobileSdkConfig", "appKey", "appSecret", "masterServerPublicKey", "roles",
    }  # fmt: skip
    assert shown["id"] == app_id
    assert shown["serviceBaseUrl"].endswith("/enrollment-server")
    assert shown["roles"] == []
    assert len(base64.b64decode(shown["appKey"])) == len(base64.b64decode(shown["appSecret"])) == 16
    point = base64.b64decode(shown["masterServerPublicKey"])
    assert (len(point), point[0]) == (65, 4)


async def test_registration_is_created_and_listed(reader: Reader) -> None:
    await reader.onboard()
    created = await reader.send(tutorial.CREATE_REGISTRATION)

    assert created.status == 200
    assert set(created.body) == {
        "registrationId", "activationCode", "activationCodeSignature", "activationQrCodeData",
    }  # fmt: skip
    assert UUID.fullmatch(created.body["registrationId"])
    assert CODE.fullmatch(created.body["activationCode"])
    code, _, signature = created.body["activationQrCodeData"].partition("#")
    assert (code, signature) == (created.body["activationCode"], created.body["activationCodeSignature"])

    listed = await reader.send(tutorial.LIST_REGISTRATIONS)
    assert listed.status == 200
    [item] = listed.body["registrations"]
    assert item["registrationId"] == created.body["registrationId"]
    assert item["registrationStatus"] == "CREATED"
    assert item["applicationId"] == "<client-name>-mobile-banking"
    assert item["flags"] == []
    assert isinstance(item["timestampCreated"], int)
    assert isinstance(item["timestampLastUsed"], int)
    assert "blockedReason" not in item


async def test_delete_takes_its_printed_body(reader: Reader) -> None:
    await reader.onboard()
    created = (await reader.send(tutorial.CREATE_REGISTRATION)).body["registrationId"]
    pending = await reader.scanned()

    for registration_id in (created, pending):
        deleted = await reader.send(tutorial.DELETE_REGISTRATION, registration_id)
        assert (deleted.status, deleted.body) == (200, {"status": "OK"})
        assert await reader.status(registration_id) == "REMOVED"


async def test_commit_block_and_no_delete_after_commit(reader: Reader) -> None:
    await reader.onboard()
    registration_id = await reader.scanned()
    assert await reader.status(registration_id) == "PENDING_COMMIT"

    committed = await reader.send(tutorial.COMMIT_REGISTRATION, registration_id)
    assert (committed.status, committed.body) == (200, {"status": "OK"})
    assert await reader.status(registration_id) == "ACTIVE"

    refused = await reader.send(tutorial.DELETE_REGISTRATION, registration_id)
    assert (refused.status, refused.body["responseObject"]["code"]) == (400, "ERROR_REGISTRATION_CHANGE")
    assert await reader.status(registration_id) == "ACTIVE"

    for _ in range(2):  # blocking again is not an error
        blocked = await reader.send(tutorial.BLOCK_REGISTRATION, registration_id)
        assert (blocked.status, blocked.body) == (200, {"status": "OK"})
    [item] = (await reader.send(tutorial.LIST_REGISTRATIONS)).body["registrations"]
    assert (item["registrationStatus"], item["blockedReason"]) == ("BLOCKED", "The reason for blocking")


@pytest.mark.parametrize(
    ("printed", "parameters"),
    [
        (tutorial.CREATE_LOGIN, {}),
        (
            tutorial.CREATE_PAYMENT,
            {"amount": "1000000000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"},
        ),
    ],
    ids=["login", "payment"],
)
async def test_operation_is_created_asked_about_and_cancelled(
    reader: Reader, printed: Printed, parameters: dict[str, str]
) -> None:
    await reader.onboard()
    created = await reader.send(printed)
    assert created.status == 200
    operation_id = created.body["operationId"]
    expected = {
        "userId": "{userId}",
        "template": "login",
        "operationType": "login",
        "status": "PENDING",
        "parameters": parameters,
        "failureCount": 0,
        "maxFailureCount": 5,
    }
    assert expected.items() <= created.body.items()
    assert created.body["timestampExpires"] - created.body["timestampCreated"] == 300_000

    shown = await reader.send(tutorial.GET_OPERATION, operation_id)
    assert shown.status == 200
    assert {**expected, "operationId": operation_id}.items() <= shown.body.items()

    cancelled = await reader.send(tutorial.CANCEL_OPERATION, operation_id)
    assert (cancelled.status, cancelled.body) == (200, {"status": "OK"})
    shown = await reader.send(tutorial.GET_OPERATION, operation_id)
    assert shown.body["status"] == "CANCELED"
    assert isinstance(shown.body["timestampFinalized"], int)

    again = await reader.send(tutorial.CANCEL_OPERATION, operation_id)
    assert (again.status, again.body["responseObject"]["code"]) == (400, "ERROR_OPERATION_STATE_CHANGE")


async def test_signature_of_an_unknown_phone_is_invalid_and_not_an_error(reader: Reader) -> None:
    await reader.onboard()
    verified = await reader.send(tutorial.VERIFY_SIGNATURE)
    assert verified.status == 200
    assert verified.body["signatureValid"] is False
    assert verified.body["registrationId"] == "a4452997-45c0-4667-bb24-c7d39337b9c0"
    assert verified.body["registrationStatus"] == "REMOVED"
    assert verified.body["signatureType"].lower() == "possession_knowledge"
    assert "userId" not in verified.body
    assert "application" not in verified.body


async def test_a_push_message_is_queued(reader: Reader) -> None:
    await reader.onboard()
    answer = await reader.send(tutorial.SEND_MESSAGE)
    assert (answer.status, set(answer.body)) == (200, {"status", "messageId", "pushes"})
    assert (answer.body["status"], answer.body["pushes"]) == ("OK", 0)  # the placeholders are nobody


async def test_a_message_is_put_into_the_inbox(reader: Reader) -> None:
    await reader.onboard()
    answer = await reader.send(tutorial.SEND_TO_INBOX)
    assert answer.status == 200
    shown = dict(answer.body)
    assert UUID.fullmatch(shown.pop("id"))
    assert isinstance(shown.pop("timestamp"), int)
    assert shown == {
        "userId": "{userId}",
        "type": "html",
        "subject": "Message subject",
        "summary": "Message summary",
        "body": "Message content",
        "read": False,
        "applications": ["<client-name>-mobile-banking"],
    }


def test_every_printed_call_is_of_one_kind() -> None:
    everything = {name: value for name, value in vars(tutorial).items() if isinstance(value, Printed)}
    assert len(everything) == len(tutorial.BUILT) == 15
    assert all(printed in tutorial.BUILT for printed in everything.values())
