"""Pushes that cross real HTTP/2 and TLS: to a double of Apple's service, and encrypted to a double of Google's."""

from __future__ import annotations

import secrets
from base64 import b64encode
from http import HTTPStatus

import aiohttp
import msgspec

from ringback.demo.stage import Credentials
from ringback.demo.story import Story
from ringback.protocols.jwe import decrypt
from ringback.testing import is_encrypted

DEVICE = "11111111-2222-3333-4444-555555555555"
UDS_BODY = """<token>
    <pushNotifyToken>{push_token}</pushNotifyToken>
    <pushChannelType>FCM</pushChannelType>
    <key>{key}</key>
    <algorithm>A256GCM</algorithm>
    <application>{app_id}</application>
    <payloadVersion>V2</payloadVersion>
</token>"""
MESSAGE = {"title": "Balance Update", "message": "We just updated your balance."}


async def apple_and_google(story: Story) -> None:
    """Push credentials, an alert through APNs, an encrypted push through FCM, and why each was sent."""
    stage = story.stage
    apns, fcm, key = stage.providers.apns, stage.providers.fcm, stage.providers.key
    place = f"/api/v1/apps/{stage.app_id}/push-credentials"
    async with story.step("Administrator → Ringback: this app's key at Apple, its service account at Google"):
        content = {
            "keyId": key.key_id,
            "teamId": key.team_id,
            "bundleId": stage.providers.bundle_id,
            "keyFile": b64encode(key.file.read_bytes()).decode(),
        }
        await stage.admin.call("PUT", f"{place}/apns", content)
        account = b64encode(fcm.account.file.read_bytes()).decode()
        await stage.admin.call("PUT", f"{place}/fcm", {"serviceAccount": account})
        shown = msgspec.json.encode(await stage.admin.call("GET", place)).decode()
        story.check(key.key_id in shown, "both are stored, and shown by their ids")
        story.check(content["keyFile"] not in shown and account not in shown, "the keys are never shown again")

    phone, device_token = stage.phones["second"], secrets.token_hex(32)
    async with story.step("iPhone → Ringback: reach me through Apple"):
        await phone.register_push("apns", device_token)
        story.check(phone.state.push_token == device_token, "the phone's push token is registered")
    async with story.step("Bank's back end → Ringback → Apple: tell Alice on this phone"):
        sent = await stage.back_end.call(
            "POST",
            "/v2/messages/send",
            {"userId": stage.user_id, "registrationId": stage.registrations["second"], **MESSAGE},
        )
        received = (await apns.wait_for(1, push_token=device_token))[0]
        story.check(received.http == "h2" and received.accepted, "it crossed HTTP/2 and TLS, and Apple took it")
        alert = received.payload["aps"]["alert"]
        story.check(alert["title"] == MESSAGE["title"], "Apple was given the title to show")

    uds_key, fcm_token = secrets.token_bytes(32), f"fcm-{secrets.token_hex(16)}"
    async with story.step("Alice's desk phone app → Ringback: reach me through Google, and encrypt with this key"):
        password = secrets.token_urlsafe(12)
        await stage.admin.call("POST", "/api/v1/users", {"userId": stage.user_id, "password": password})
        body = UDS_BODY.format(push_token=fcm_token, key=b64encode(uds_key).decode(), app_id=stage.app_id)
        alice = Credentials(stage.user_id, password)
        story.check(
            await put_device_token(story, alice, body) == HTTPStatus.OK,
            "Alice's password proves that it is her app",
        )
        stranger = Credentials(stage.user_id, "guess")
        story.check(await put_device_token(story, stranger, body) == HTTPStatus.UNAUTHORIZED, "nobody else may")
    async with story.step(
        "Bank's back end → Ringback → Google: tell Alice everywhere, encrypted where an app has a key"
    ):
        told = await stage.back_end.call("POST", "/v2/messages/send", {"userId": stage.user_id, **MESSAGE})
        pushed = (await fcm.wait_for(1, push_token=fcm_token))[0]
        story.check(pushed.http == "h2" and pushed.accepted, "it crossed HTTP/2 and TLS, and Google took it")
        story.check(
            is_encrypted(pushed) and MESSAGE["title"] not in pushed.body.decode(), "Google can read nothing of it"
        )
        clear = msgspec.json.decode(decrypt(pushed.payload["message"]["data"]["body"], uds_key))
        story.check(clear["title"] == MESSAGE["title"], "the app decrypts it with its key")
    story.narrator.show(f"What Google saw: {pushed.payload['message']['data']['body'][:60]}…")
    async with story.step("Bank's back end → Ringback: why did Alice hear this, and on which phones?"):
        for one, phones in ((sent, 1), (told, None)):
            trace = await stage.back_end.call("GET", f"/api/v1/pushes?messageId={one['messageId']}")
            considered = trace["items"][0]["considered"]
            used = [token for token in considered if token["used"]]
            story.check(used and (phones is None or len(used) == phones), f"{len(used)} of {len(considered)} were used")
            story.check(all(token["used"] or token["reason"] for token in considered), "each other one has its reason")


async def the_inbox(story: Story) -> None:
    """News that wait for the phone."""
    stage, phone = story.stage, story.stage.phones["second"]
    async with story.step("Bank's back end → Ringback: put news into Alice's inbox"):
        news = {"type": "text", "subject": "Opening hours", "summary": "We open earlier.", "body": "From 8 o'clock."}
        made = await stage.back_end.call("POST", "/v2/inbox/messages", {"userId": stage.user_id, **news})
        story.check(made["read"] is False, "the message is unread")
    async with story.step("Phone → Ringback: what is new? Show it, it is read"):
        story.check(await phone.count_unread() == 1, "one message waits")
        message = await phone.inbox_message(made["id"])
        story.check(message.body == news["body"], "the phone shows it whole")
        await phone.mark_read(made["id"])
        story.check(await phone.count_unread() == 0, "nothing waits any more")


async def put_device_token(story: Story, user: Credentials, body: str, device: str = DEVICE) -> int:
    """The status of the answer."""
    url = f"{story.stage.public_url}/cucm-uds/user/{user.username}/device/{device}/devicetoken"
    headers = {
        "Content-Type": "application/xml",
        "Authorization": aiohttp.encode_basic_auth(user.username, user.password),
    }
    async with story.stage.session.put(url, data=body.encode(), headers=headers) as answer:
        return answer.status
