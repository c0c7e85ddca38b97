"""The chapters, in order. A new one is one function and one line in CHAPTERS."""

from __future__ import annotations

import base64
from typing import Any

from ringback.demo.stage import Credentials
from ringback.demo.story import Chapter, Story
from ringback.softphone import Phone, PhoneOperation, Push, PushStream, RefusedByServer, SignatureRefused, Unlock

PIN = "1357"
WRONG_PIN = "0000"
ATTEMPTS = 5
PAYMENT = {"amount": "1000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"}


async def the_back_end(story: Story) -> None:
    """An app, and a system user that may use it."""
    stage = story.stage
    async with story.step("Administrator → Ringback: create the app"):
        stage.app = await stage.admin.call("POST", "/admin/applications", {"id": stage.app_id})
        story.check(stage.app["id"] == stage.app_id, "the answer names the app")
        story.check(stage.sdk_config, "there is an SDK configuration to compile into the mobile app")
    async with story.step("Administrator → Ringback: create the bank's integration user and give it the app"):
        created = await stage.admin.call("POST", "/admin/users", {"username": stage.integration_name})
        path = f"/admin/users/{stage.integration_name}/applications/{stage.app_id}"
        allowed = await stage.admin.call("POST", path, {})
        stage.integration = Credentials(created["username"], created["password"])
        story.check(allowed["applications"] == [stage.app_id], "the user may use this app and no other")
        story.check("password" not in allowed, "the password is not shown a second time")
    async with story.step("Bank's back end → Ringback: which phones does Alice have?"):
        listed = await stage.back_end.call("GET", "/v2/registrations", query={"userId": stage.user_id})
        story.check(listed["registrations"] == [], "the credentials work, and Alice has no phone yet")


async def a_phone_is_enrolled(story: Story) -> None:
    """QR code, key exchange, fingerprint, commit."""
    phone = await _enrol(story, "first", show_qr_code=True)
    async with story.step("Phone → Ringback: prove both factors"):
        await phone.validate(Unlock(pin=PIN))
        await phone.validate(Unlock(biometry=True))
        status = await phone.status()
        story.check(status.status == "ACTIVE", "the phone reads ACTIVE in its encrypted status")
        story.check(status.counters == "in step", "phone and server agree on the signature counter")


async def the_back_end_asks(story: Story) -> None:
    """Payment: push, show, approve, and the back end knows."""
    stage, phone = story.stage, story.stage.phones["first"]
    async with story.step("Phone → Ringback: reach me here"):
        await phone.register_push()
        pushes = phone.open_push_stream()
        await pushes.connect()
        story.check(phone.state.mac_token_id, "the phone has a MAC token and its push stream is open")
    try:
        async with story.step("Bank's back end → Ringback: ask Alice to pay 1000.00 EUR"):
            operation_id = await _ask_for_payment(story)
        async with story.step("Ringback → Phone: a push wakes the phone"):
            push = await _push_about(pushes, operation_id)
            story.check(push.content.get("title"), "the push about this operation arrived, with a title")
        story.narrator.show(f"{push.content.get('title')} – {push.content.get('message')}")
    finally:
        pushes.close()
    async with story.step("Phone → Ringback: what is waiting for me?"):
        waiting = [operation for operation in await phone.list_operations() if operation.id == operation_id]
        story.check(len(waiting) == 1, "the operation is in the phone's list")
        story.check(waiting[0].data == "A1*A1000.00EUR*ICZ5508000000001234567899", "its data are the payment's")
        story.check(waiting[0].form_data.title, "the phone has a title to show")
    story.narrator.show(f"{waiting[0].form_data.title}: {waiting[0].form_data.message}")
    async with story.step("Alice → Phone → Ringback: approve, with the PIN"):
        await phone.approve_shown(waiting[0], Unlock(pin=PIN))
        story.check(await _left(phone, operation_id) == 0, "nothing waits for Alice any more")
    async with story.step("Bank's back end → Ringback: what did Alice say?"):
        seen = await stage.operation(operation_id)
        story.check(seen["status"] == "APPROVED", "the operation is APPROVED")
        activation_id = seen.get("additionalData", {}).get("activationId")
        story.check(activation_id == stage.registrations["first"], "it is known which phone approved it")
    async with story.step("Phone → Ringback: approve once more"):
        said = await _approval_refused(phone, waiting[0])
        story.check(said == "OPERATION_ALREADY_FINISHED", "a finished operation cannot be approved again")
        story.check((await stage.operation(operation_id))["status"] == "APPROVED", "and stays as it was")


async def a_message_is_signed(story: Story) -> None:
    """Sign, verify, replay."""
    phone = story.stage.phones["first"]
    message = b'{"to":"Bob","amount":"20.00 EUR"}'
    async with story.step("Alice → Phone: sign a message for the bank, with biometry"):
        header = phone.sign("POST", "/bank/transfer", message, Unlock(biometry=True))
        story.check('pa_signature_type="possession_biometry"' in header, "the header says which factors were used")
    async with story.step("Bank's back end → Ringback: is this signature Alice's?"):
        verified = await _verify(story, header, message)
        story.check(verified["signatureValid"] is True, "the signature is valid")
        story.check(verified["userId"] == story.stage.user_id, "and it is Alice's")
    async with story.step("Thief → Bank's back end → Ringback: the same message again"):
        replayed = await _verify(story, header, message)
        story.check(replayed["signatureValid"] is False, "a replayed signature is not valid")
        story.check(replayed["remainingAttempts"] == ATTEMPTS - 1, "and it counts as a wrong one")
    async with story.step("Thief → Bank's back end → Ringback: another message under a new signature"):
        header = phone.sign("POST", "/bank/transfer", message, Unlock(pin=PIN))
        changed = await _verify(story, header, message.replace(b"Bob", b"Eve"))
        story.check(changed["signatureValid"] is False, "a changed message is not valid")
        original = await _verify(story, header, message)
        story.check(original["signatureValid"] is True, "the message as it was signed still is")
        story.check(original["remainingAttempts"] == ATTEMPTS, "which clears the wrong attempts")


async def a_stolen_phone(story: Story) -> None:
    """Five wrong PINs block; the back end unblocks."""
    stage, phone = story.stage, story.stage.phones["first"]
    registration_id = stage.registrations["first"]
    async with story.step("Thief → Phone → Ringback: five wrong PINs"):
        refused = 0
        for _ in range(ATTEMPTS):
            try:
                await phone.validate(Unlock(pin=WRONG_PIN))
            except SignatureRefused:
                refused += 1
        story.check(refused == ATTEMPTS, "each of them was refused")
        story.check((await phone.status()).status == "BLOCKED", "the phone reads that it is BLOCKED")
    async with story.step("Alice → Phone → Ringback: the right PIN, too late"):
        story.check(await _right_pin_refused(phone), "a blocked phone cannot sign")
    async with story.step("Bank's back end → Ringback: why? Then unblock it"):
        seen = await stage.registration(registration_id)
        story.check(seen["registrationStatus"] == "BLOCKED", "the back end sees it BLOCKED")
        story.check(seen["blockedReason"] == "MAX_FAILED_ATTEMPTS", "and why")
        change = {"change": "UNBLOCK", "externalUserId": "demo"}
        await stage.back_end.call("PUT", f"/v2/registrations/{registration_id}", change)
        seen = await stage.registration(registration_id)
        story.check(seen["registrationStatus"] == "ACTIVE", "it is ACTIVE again")
    async with story.step("Alice → Phone → Ringback: the right PIN"):
        await phone.validate(Unlock(pin=PIN))
        status = await phone.status()
        story.check(status.remaining_attempts == ATTEMPTS, "it is accepted, and all attempts are there again")


async def a_second_phone(story: Story) -> None:
    """The same person's other phone says no."""
    stage = story.stage
    phone = await _enrol(story, "second", show_qr_code=False)
    async with story.step("Bank's back end → Ringback: ask Alice to pay again"):
        operation_id = await _ask_for_payment(story)
    async with story.step("Alice → second phone → Ringback: reject, I did not order this"):
        shown = {name: await _shown(stage.phones[name], operation_id) for name in ("first", "second")}
        story.check(all(shown.values()), "both of her phones show it")
        await phone.reject(operation_id, "UNEXPECTED_OPERATION")
        story.check(await _left(phone, operation_id) == 0, "it is gone from the second phone")
        story.check(await _left(stage.phones["first"], operation_id) == 0, "and from the first")
    async with story.step("Bank's back end → Ringback: what did Alice say?"):
        seen = await stage.operation(operation_id)
        story.check(seen["status"] == "REJECTED", "the operation is REJECTED")
        said = await _approval_refused(stage.phones["first"], shown["first"])
        story.check(said.startswith("OPERATION_"), "and the first phone cannot approve it now")
        seen = await stage.operation(operation_id)
        story.check(seen["status"] == "REJECTED", "it stays REJECTED")


CHAPTERS = (
    Chapter("The back end", the_back_end),
    Chapter("A phone is enrolled", a_phone_is_enrolled),
    Chapter("The back end asks", the_back_end_asks),
    Chapter("A message is signed", a_message_is_signed),
    Chapter("A stolen phone", a_stolen_phone),
    Chapter("A second phone says no", a_second_phone),
)


async def _enrol(story: Story, name: str, *, show_qr_code: bool) -> Phone:
    stage, phone = story.stage, story.stage.new_phone(name)
    async with story.step("Bank's back end → Ringback: a new registration for Alice"):
        content = {"userId": stage.user_id, "appId": stage.app_id}
        created = await stage.back_end.call("POST", "/v2/registrations", content)
        registration_id = stage.registrations[name] = created["registrationId"]
        qr_code = created["activationQrCodeData"]
        story.check(qr_code.startswith(created["activationCode"] + "#"), "the QR code carries a signed code")
    if show_qr_code:
        story.narrator.qr_code(qr_code)
    async with story.step(f"Alice → {name} phone: scan the QR code, choose a PIN; phone ⇄ Ringback: exchange keys"):
        activated = await phone.activate(
            stage.public_url, stage.sdk_config, qr_code, name=f"Alice's {name} phone", pin=PIN
        )
        story.check(activated.activation_id == registration_id, "phone and back end mean the same registration")
        story.check(await _right_pin_refused(phone), "nothing can be signed before the back end commits")
    async with story.step("Bank's back end → Ringback: compare the fingerprint and commit"):
        pending = await stage.registration(registration_id)
        story.check(pending["registrationStatus"] == "PENDING_COMMIT", "the registration waits for the commit")
        story.check(
            pending["activationFingerprint"] == activated.fingerprint,
            f"phone and back end show the same fingerprint {activated.fingerprint}",
        )
        await stage.commit_registration(registration_id)
        seen = await stage.registration(registration_id)
        story.check(seen["registrationStatus"] == "ACTIVE", "the registration is ACTIVE")
    return phone


async def _ask_for_payment(story: Story) -> str:
    content = {"userId": story.stage.user_id, "template": "payment", "language": "en", "parameters": PAYMENT}
    created = await story.stage.back_end.call("POST", "/v2/operations", content)
    story.check(created["status"] == "PENDING", "the operation is PENDING")
    return str(created["operationId"])


async def _push_about(pushes: PushStream, operation_id: str) -> Push:
    async for push in pushes:
        if push.content.get("operationId") == operation_id or _extra(push, "operationId") == operation_id:
            return push
    raise AssertionError("the stream is endless")


def _extra(push: Push, name: str) -> object:
    extras = push.content.get("extras")
    return extras.get(name) if isinstance(extras, dict) else None


async def _left(phone: Phone, operation_id: str) -> int:
    return sum(operation.id == operation_id for operation in await phone.list_operations())


async def _shown(phone: Phone, operation_id: str) -> PhoneOperation | None:
    return next((operation for operation in await phone.list_operations() if operation.id == operation_id), None)


async def _approval_refused(phone: Phone, operation: PhoneOperation | None) -> str:
    """What the server said to a rightly signed approval; empty when it took it."""
    try:
        if operation is not None:
            await phone.approve_shown(operation, Unlock(pin=PIN))
    except RefusedByServer as error:
        return error.server_code
    return ""


async def _right_pin_refused(phone: Phone) -> bool:
    try:
        await phone.validate(Unlock(pin=PIN))
    except SignatureRefused:
        return True
    return False


async def _verify(story: Story, header: str, body: bytes) -> dict[str, Any]:
    content = {
        "method": "POST",
        "uriId": "/bank/transfer",
        "authHeader": header,
        "requestBody": base64.b64encode(body).decode(),
    }
    return await story.stage.back_end.call("POST", "/v2/signature/verify", content)
