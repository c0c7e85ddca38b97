"""A phone gives a key with its push token: what it is told by messages, inbox and operations, no provider can read."""

from __future__ import annotations

import json
from typing import Any

from ringback.protocols.jwe import decrypt
from ringback.softphone import Phone
from ringback.testing import Providers, Received
from tests.apps.push_files import base64_of
from tests.messages.bank import INBOX, MESSAGES, Bank

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
DEVICE = "5e" * 32


def opened(jwe: str, key: bytes = KEY) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decrypt(jwe, key))
    return found


async def told(bank: Bank, providers: Providers, text: str, many: int) -> Received:
    """A message with this title, as the phone gets it; the APNs double has then `many`."""
    assert (await bank.post(MESSAGES, userId="jan", title=text, message="In confidence.")).status == 201
    return (await providers.apns.wait_for(many, push_token=DEVICE, status=200))[-1]


async def test_everything_that_a_phone_with_a_key_is_told_is_encrypted(
    sending_bank: Bank, providers: Providers
) -> None:
    bank = sending_bank
    phone = await bank.phone("jan")
    assert await phone.register_push("apns", DEVICE, KEY) == DEVICE
    message = await told(bank, providers, "Balance", 1)
    assert opened(message.payload["data"])["title"] == "Balance"
    assert message.payload["aps"]["mutable-content"] == 1
    assert (await bank.post(INBOX, userId="jan", type="text", subject="News", summary="s", body="b")).status == 200
    await providers.apns.wait_for(2, push_token=DEVICE, status=200)
    await bank.ask(userId="jan")
    inbox, operation = (await providers.apns.wait_for(3, push_token=DEVICE, status=200))[1:]
    assert opened(inbox.payload["data"])["title"] == "News"
    assert opened(operation.payload["data"])["extras"]["messageType"].startswith("mtoken.operation")
    for one in (message, inbox, operation):
        clear = json.dumps({**one.payload, "data": ""})
        assert not any(word in clear for word in ("Balance", "confidence", "News", "mtoken"))


async def test_the_key_stays_until_another_is_told(sending_bank: Bank, providers: Providers) -> None:
    bank = sending_bank
    phone: Phone = await bank.phone("jan")
    await phone.register_push("apns", DEVICE)
    assert (await told(bank, providers, "A", 1)).payload["aps"]["alert"]["title"] == "A"
    await phone.register_push("apns", DEVICE, KEY)
    assert opened((await told(bank, providers, "B", 2)).payload["data"])["title"] == "B"
    await phone.register_push("apns", DEVICE)
    assert opened((await told(bank, providers, "C", 3)).payload["data"])["title"] == "C"
    await phone.register_push("apns", DEVICE, OTHER)
    assert opened((await told(bank, providers, "D", 4)).payload["data"], OTHER)["title"] == "D"
    await phone.register_push("apns", DEVICE, b"")
    assert (await told(bank, providers, "E", 5)).payload["aps"]["alert"]["title"] == "E"
    audit = await bank.get(f"/api/v1/audit?subjectId={phone.state.activation_id}", auth=bank.served.admin)
    entries = [one["details"] for one in audit.body["items"] if one["action"] == "push_token.register"]
    assert [one["encrypted"] for one in entries] == [False, True, True, True, False]
    assert base64_of(KEY) not in json.dumps(audit.body)


async def test_each_kind_has_its_own_key(sending_bank: Bank, providers: Providers) -> None:
    bank = sending_bank
    phone = await bank.phone("jan")
    await phone.register_push("apns", DEVICE)
    await phone.register_push("fcm", "fcm-of-jan", KEY)
    assert (await told(bank, providers, "A", 1)).payload["aps"]["alert"]["title"] == "A"
    [android] = await providers.fcm.wait_for(1, push_token="fcm-of-jan", status=200)
    assert opened(android.payload["message"]["data"]["body"])["title"] == "A"
