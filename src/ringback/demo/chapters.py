"""The chapters, in order. A new one is one function and one line in CHAPTERS."""

from __future__ import annotations

from ringback.demo import chapters_calls, chapters_older, chapters_proofs, chapters_push
from ringback.demo.scenes import (
    ATTEMPTS,
    PIN,
    WRONG_PIN,
    approval_refused,
    ask_for_payment,
    enrol,
    left,
    push_about,
    right_pin_refused,
    shown_on,
    verify,
)
from ringback.demo.stage import Credentials
from ringback.demo.story import Chapter, Story
from ringback.softphone import SignatureRefused, Unlock


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
    phone = await enrol(story, "first", show_qr_code=True)
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
            operation_id = await ask_for_payment(story)
        async with story.step("Ringback → Phone: a push wakes the phone"):
            push = await push_about(pushes, operation_id)
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
        story.check(await left(phone, operation_id) == 0, "nothing waits for Alice any more")
    async with story.step("Bank's back end → Ringback: what did Alice say?"):
        seen = await stage.operation(operation_id)
        story.check(seen["status"] == "APPROVED", "the operation is APPROVED")
        activation_id = seen.get("additionalData", {}).get("activationId")
        story.check(activation_id == stage.registrations["first"], "it is known which phone approved it")
    async with story.step("Phone → Ringback: approve once more"):
        said = await approval_refused(phone, waiting[0])
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
        verified = await verify(story, header, message)
        story.check(verified["signatureValid"] is True, "the signature is valid")
        story.check(verified["userId"] == story.stage.user_id, "and it is Alice's")
    async with story.step("Thief → Bank's back end → Ringback: the same message again"):
        replayed = await verify(story, header, message)
        story.check(replayed["signatureValid"] is False, "a replayed signature is not valid")
        story.check(replayed["remainingAttempts"] == ATTEMPTS - 1, "and it counts as a wrong one")
    async with story.step("Thief → Bank's back end → Ringback: another message under a new signature"):
        header = phone.sign("POST", "/bank/transfer", message, Unlock(pin=PIN))
        changed = await verify(story, header, message.replace(b"Bob", b"Eve"))
        story.check(changed["signatureValid"] is False, "a changed message is not valid")
        original = await verify(story, header, message)
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
        story.check(await right_pin_refused(phone), "a blocked phone cannot sign")
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
    phone = await enrol(story, "second")
    async with story.step("Bank's back end → Ringback: ask Alice to pay again"):
        operation_id = await ask_for_payment(story)
    async with story.step("Alice → second phone → Ringback: reject, I did not order this"):
        shown = {name: await shown_on(stage.phones[name], operation_id) for name in ("first", "second")}
        story.check(all(shown.values()), "both of her phones show it")
        await phone.reject(operation_id, "UNEXPECTED_OPERATION")
        story.check(await left(phone, operation_id) == 0, "it is gone from the second phone")
        story.check(await left(stage.phones["first"], operation_id) == 0, "and from the first")
    async with story.step("Bank's back end → Ringback: what did Alice say?"):
        seen = await stage.operation(operation_id)
        story.check(seen["status"] == "REJECTED", "the operation is REJECTED")
        said = await approval_refused(stage.phones["first"], shown["first"])
        story.check(said.startswith("OPERATION_"), "and the first phone cannot approve it now")
        seen = await stage.operation(operation_id)
        story.check(seen["status"] == "REJECTED", "it stays REJECTED")


CHAPTERS = (
    Chapter("The back end", the_back_end),
    Chapter("A phone is enrolled", a_phone_is_enrolled),
    Chapter("The back end asks", the_back_end_asks),
    Chapter("A message is signed", a_message_is_signed),
    Chapter("A stolen phone is blocked", a_stolen_phone),
    Chapter("A second phone says no", a_second_phone),
    Chapter("A request without a person", chapters_proofs.a_mac_token),
    Chapter("The vault", chapters_proofs.the_vault),
    Chapter("No network", chapters_proofs.no_network),
    Chapter("Apple and Google", chapters_push.apple_and_google),
    Chapter("The inbox", chapters_push.the_inbox),
    Chapter("Somebody calls", chapters_calls.somebody_calls),
    Chapter("The phone never wakes", chapters_calls.the_phone_never_wakes),
    Chapter("A lost phone", chapters_older.a_lost_phone),
    Chapter("An older phone", chapters_older.an_older_phone),
)
