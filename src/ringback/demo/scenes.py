"""What several chapters play: a phone is enrolled, a payment is asked for, something is refused."""

from __future__ import annotations

import base64
from typing import Any

from ringback.demo.story import Story
from ringback.softphone import Phone, PhoneOperation, Push, PushStream, RefusedByServer, SignatureRefused, Unlock

PIN = "1357"
WRONG_PIN = "0000"
ATTEMPTS = 5
PAYMENT = {"amount": "1000.00", "currency": "EUR", "iban": "CZ5508000000001234567899"}


async def enrol(story: Story, name: str, *, show_qr_code: bool = False, version: str = "3.3") -> Phone:
    """A new phone of Alice's, from the activation code to ACTIVE. `version`: the protocol version that it speaks."""
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
        name_shown = f"Alice's {name} phone"
        activated = await phone.activate(
            stage.public_url, stage.sdk_config, qr_code, name=name_shown, pin=PIN, version=version
        )
        stage.recovery[name] = activated.recovery
        story.check(activated.activation_id == registration_id, "phone and back end mean the same registration")
        story.check(await right_pin_refused(phone), "nothing can be signed before the back end commits")
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


async def ask_for_payment(story: Story) -> str:
    """The id of a new operation."""
    content = {"userId": story.stage.user_id, "template": "payment", "language": "en", "parameters": PAYMENT}
    created = await story.stage.back_end.call("POST", "/v2/operations", content)
    story.check(created["status"] == "PENDING", "the operation is PENDING")
    return str(created["operationId"])


async def push_about(pushes: PushStream, operation_id: str) -> Push:
    """The first push about this operation."""
    async for push in pushes:
        if push.content.get("operationId") == operation_id or _extra(push, "operationId") == operation_id:
            return push
    raise AssertionError("the stream is endless")


def _extra(push: Push, name: str) -> object:
    extras = push.content.get("extras")
    return extras.get(name) if isinstance(extras, dict) else None


async def left(phone: Phone, operation_id: str) -> int:
    """How often the operation waits in the phone's list."""
    return sum(operation.id == operation_id for operation in await phone.list_operations())


async def shown_on(phone: Phone, operation_id: str) -> PhoneOperation | None:
    """The operation as the phone shows it."""
    return next((operation for operation in await phone.list_operations() if operation.id == operation_id), None)


async def approval_refused(phone: Phone, operation: PhoneOperation | None) -> str:
    """What the server said to a rightly signed approval; empty when it took it."""
    try:
        if operation is not None:
            await phone.approve_shown(operation, Unlock(pin=PIN))
    except RefusedByServer as error:
        return error.server_code
    return ""


async def right_pin_refused(phone: Phone) -> bool:
    """Whether the server refuses a right signature of this phone."""
    try:
        await phone.validate(Unlock(pin=PIN))
    except SignatureRefused:
        return True
    return False


async def verify(story: Story, header: str, body: bytes) -> dict[str, Any]:
    """What the back end is told about a signed message."""
    content = {
        "method": "POST",
        "uriId": "/bank/transfer",
        "authHeader": header,
        "requestBody": base64.b64encode(body).decode(),
    }
    return await story.stage.back_end.call("POST", "/v2/signature/verify", content)
