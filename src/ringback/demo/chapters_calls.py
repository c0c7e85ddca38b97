"""Somebody calls a phone that sleeps: once it wakes up, once it does not. Real SIP, and sound that is really heard."""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from typing import Any

import aiohttp

from ringback.demo.chapters_push import UDS_BODY, put_device_token
from ringback.demo.stage import Credentials
from ringback.demo.story import Story
from ringback.softphone import PhoneCall, SipAccount, SipPhone, StateFile, keep_account, meaning, read_push
from ringback.testing import is_encrypted, title_of

DEVICE = "22222222-3333-4444-5555-666666666666"
HEARD_PACKETS = 5
"""A tenth of a second of sound."""
PATIENCE_SECONDS = 30


async def somebody_calls(story: Story) -> None:
    """The app sleeps; the caller hears something; an encrypted push wakes the app; the call goes through."""
    stage, fcm = story.stage, story.stage.providers.fcm
    bob = Credentials(f"bob-{stage.suffix}", secrets.token_urlsafe(12))
    places = await _subscribers(story, bob)
    key, push_token = secrets.token_bytes(32), f"fcm-{secrets.token_hex(16)}"
    async with story.step("Bob's app → Ringback: reach me through Google, and encrypt with this key; then it sleeps"):
        body = UDS_BODY.format(push_token=push_token, key=b64encode(key).decode(), app_id=stage.app_id)
        said = await put_device_token(story, bob, body, DEVICE)
        story.check(said == 200, "Bob's password proves that it is his app")  # noqa: PLR2004 - HTTP's own number
    async with SipPhone(places["alice"]) as alices, SipPhone(places["bob"]) as bobs:
        async with story.step("Alice → Ringback: call Bob"):
            calling = await alices.call(places["bob"].uri)
            story.check(await calling.reached("CONNECTING"), "the call is held: 183, though Bob's phone sleeps")
            await _heard(calling, HEARD_PACKETS)
            story.check(calling.has_early_media, "Alice hears that something happens: early media, in G.711")
        async with story.step("Ringback → Google → Bob's phone: a push wakes it"):
            pushed = (await fcm.wait_for(1, push_token=push_token))[0]
            story.check(
                is_encrypted(pushed) and places["alice"].user not in pushed.body.decode(),
                "Google can read nothing of it",
            )
            push = read_push(pushed.payload, key)
            story.check(push is not None and places["alice"].user in push.displaynumber, "the app can: Alice calls")
        if push is None:
            return
        async with story.step("Bob's phone → Ringback: which call is that? I am here"):
            call_id = await _call_of(story, bob, push.pushid)
            story.check(call_id == calling.call_id, "the push id leads to the Call-ID of Alice's call")
            story.check(await bobs.register() > 0, "the phone is registered, by SIP and digest")
        async with story.step("Alice ⇄ Bob: the call goes through"):
            ringing = await bobs.next_call(call_id, seconds=10)
            story.check(ringing is not None, "the call that was announced rings at Bob's phone")
            story.check(await calling.reached("RINGING"), "Alice hears that it rings")
            if ringing is None:
                return
            await ringing.answer()
            story.check(await calling.reached("ANSWERED"), "Bob answers")
            before = calling.early_media_packets
            await _heard(calling, before + HEARD_PACKETS)
            await _heard(ringing, HEARD_PACKETS)
            story.check(calling.heard_packets and ringing.heard_packets, "they hear each other")
        async with story.step("Bob → Alice: hang up; the phone sleeps again"):
            await ringing.hang_up()
            await calling.over()
            story.check(calling.end == "hung up there", "Alice's phone knows that Bob has hung up")
            await bobs.unregister()
    async with story.step("Administrator → Ringback: what happened to that call?"):
        call = await _record(story, calling.call_id)
        story.check(call["outcome"] == "DEFLECTED", "it was sent on to the phone that had woken")
        story.check(call["timestampRegistered"] and call["pushCount"] == 1, "after one push and one REGISTER")
    _show(story, call)


async def the_phone_never_wakes(story: Story) -> None:
    """The caller is told soon, the phone is told later, and the record says why."""
    stage, apns = story.stage, story.stage.providers.apns
    caller, callee = stage.sip_accounts["bob"], stage.sip_accounts["alice"]
    phone = stage.phones["second"]
    alert_token, voip_token = phone.state.push_token or "", secrets.token_hex(32)
    async with story.step("Alice's iPhone → Ringback: reach me for calls, too; then it is switched off"):
        await phone.register_push("apns-voip", voip_token)
        story.check(phone.state.push_token == voip_token, "one push token for calls, another for what is only shown")
    async with story.step("Bob → Ringback: call Alice; nobody wakes"):
        async with SipPhone(caller) as bobs:
            calling = await bobs.call(callee.uri)
            story.check(not await calling.reached("ANSWERED"), "nobody answered")
        story.check(calling.status == 480, "Bob is told: 480")  # noqa: PLR2004 - SIP's own number
        story.check(calling.has_early_media, "after he had heard that something was tried")
    story.narrator.show(meaning(calling.status))
    async with story.step("Ringback → Apple → Alice's iPhone: you missed a call"):
        rang = await apns.wait_for(1, push_token=voip_token)
        missed = await apns.wait_for(1, push_token=alert_token, where=lambda one: "missed" in one.body.decode().lower())
        story.check(missed[0].push_type == "alert", "it is an alert: no phone rings for a call that is over")
        story.check(len(rang) == 1 and rang[0].push_type == "voip", "and the call itself had been pushed once")
    story.narrator.show(title_of(missed[0]) or "Missed call")
    async with story.step("Administrator → Ringback: why did Alice's phone not ring?"):
        call = await _record(story, calling.call_id)
        story.check(call["outcome"] == "TIMEOUT" and call["sipStatus"] == calling.status, "no phone came in time")
        used = [one for one in call["considered"] if one["used"]]
        story.check(len(used) == call["pushCount"], f"though {len(used)} of her phones were pushed")
        story.check(call["timestampRegistered"] is None, "and none of them registered")
    _show(story, call)
    async with story.step("Administrator → Ringback: from now on callers wait half a minute"):
        wanted = {"mobile_push_expiry": PATIENCE_SECONDS}
        shown = await stage.admin.call("PATCH", f"/api/v1/domains/{callee.domain}/preferences", wanted)
        story.check(str(PATIENCE_SECONDS) in str(shown), "the preference of the domain is changed")


async def _subscribers(story: Story, bob: Credentials) -> dict[str, SipAccount]:
    """Alice and Bob as subscribers of one domain, kept on the stage."""
    stage = story.stage
    domain = f"{stage.suffix}.example.org"
    users = {"alice": stage.user_id, "bob": bob.username}
    async with story.step("Administrator → Ringback: a SIP domain, with Alice and Bob; a call wakes their phones"):
        await stage.admin.call("POST", "/api/v1/users", {"userId": bob.username, "password": bob.password})
        await stage.admin.call("POST", "/api/v1/domains", {"domain": domain, "appIds": [stage.app_id]})
        place = f"/api/v1/domains/{domain}"
        await stage.admin.call("PATCH", f"{place}/preferences", {"mobile_push_enable": "always"})
        for name, user_id in users.items():
            password = secrets.token_urlsafe(12)
            content = {"username": name, "userId": user_id, "password": password}
            made = await stage.admin.call("POST", f"{place}/subscribers", content)
            story.check(made["address"] == f"{name}@{domain}" and password not in str(made), f"{name} is a subscriber")
            stage.sip_accounts[name] = SipAccount(
                uri=f"sip:{made['address']}", server=stage.sip_address, password=password, display_name=name.title()
            )
        wanted = {"mobile_push_expiry": PATIENCE_SECONDS}
        await stage.admin.call("PATCH", f"{place}/subscribers/bob/preferences", wanted)
        keep_account(StateFile(stage.phone_file("first")), stage.sip_accounts["alice"])
    return stage.sip_accounts


async def _heard(call: PhoneCall, packets: int) -> None:
    """Waits until so much sound has come; the step gives up when it never does."""
    while call.media is None or call.media.received < packets:  # noqa: ASYNC110 - packets ring no bell
        await asyncio.sleep(0.01)


async def _call_of(story: Story, user: Credentials, push_id: str) -> str:
    """The Call-ID of the call that the push was about."""
    url = f"{story.stage.public_url}/api/v1/calls/by-notification/{push_id}"
    headers = {"Authorization": aiohttp.encode_basic_auth(user.username, user.password)}
    async with story.stage.session.get(url, headers=headers) as answer:
        said = await answer.json()
    return str(said.get("callId", ""))


async def _record(story: Story, call_id: str) -> dict[str, Any]:
    """The call's record, once it is over: it is written while the call goes on."""
    while True:
        found = await story.stage.admin.call("GET", "/api/v1/calls", query={"callId": call_id})
        over = [one for one in found["items"] if one["outcome"] is not None]
        if over:
            return await story.stage.admin.call("GET", f"/api/v1/calls/{over[0]['id']}")
        await asyncio.sleep(0.05)


def _show(story: Story, call: dict[str, Any]) -> None:
    """The record as a time line."""
    for step in call["trace"]:
        story.narrator.show(f"{step['atMilliseconds']:>5} ms  {step['step']}")
