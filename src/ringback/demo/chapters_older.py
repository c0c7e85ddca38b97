"""Chapters about what time does to phones: one is lost and replaced, one is older than the others."""

from __future__ import annotations

from ringback.demo.scenes import PIN, ask_for_payment, enrol, left, right_pin_refused, shown_on, verify
from ringback.demo.story import Story
from ringback.softphone import RecoveryRefused, Unlock

OLDER = "3.1"


async def a_lost_phone(story: Story) -> None:
    """A code on paper replaces it, without anybody at the bank."""
    stage = story.stage
    async with story.step("Administrator → Ringback: activations of this app get a recovery code"):
        path = f"/admin/applications/{stage.app_id}/config"
        entry = await stage.admin.call("POST", path, {"key": "recovery", "values": {"enabled": True}})
        story.check(entry["values"]["enabled"] is True, "recovery is on for this app")
    lost = await enrol(story, "third")
    async with story.step("Alice → Phone: what shall I write down?"):
        paper = stage.recovery["third"]
        story.check(paper is not None, "the phone was told a recovery code and a PUK with its activation")
    if paper is None:
        return
    found = stage.new_phone("fourth")
    name, server, config = "Alice's new phone", stage.public_url, stage.sdk_config
    async with story.step("Alice → new phone → Ringback: the recovery code, and a mistyped PUK"):
        wrong = paper.puk[:-1] + ("0" if paper.puk[-1] != "0" else "1")
        refused = False
        try:
            await found.activate_by_recovery(server, config, paper.recovery_code, wrong, name=name, pin=PIN)
        except RecoveryRefused:
            refused = True
        story.check(refused, "it is refused, and counted")
    async with story.step("Alice → new phone ⇄ Ringback: the right PUK"):
        activated = await found.activate_by_recovery(server, config, paper.recovery_code, paper.puk, name=name, pin=PIN)
        stage.registrations["fourth"] = activated.activation_id
        await found.validate(Unlock(pin=PIN))
        story.check((await found.status()).status == "ACTIVE", "the new phone is ACTIVE at once")
    async with story.step("Whoever found the lost phone → Ringback: the right PIN"):
        story.check(await right_pin_refused(lost), "the lost phone cannot sign any more")
        seen = await stage.registration(stage.registrations["third"])
        story.check(seen["registrationStatus"] == "REMOVED", "its registration is REMOVED")


async def an_older_phone(story: Story) -> None:
    """The same server speaks to an app that was never updated."""
    phone = await enrol(story, "old", version=OLDER)
    async with story.step("Alice → older phone: sign a message for the bank"):
        message = b"{}"
        header = phone.sign("POST", "/bank/transfer", message, Unlock(pin=PIN))
        story.check(f'pa_version="{OLDER}"' in header, f"the phone speaks protocol {OLDER}")
        verified = await verify(story, header, message)
        story.check(verified["signatureValid"] is True, "the signature is valid")
    async with story.step("Bank's back end → Ringback → older phone: pay, approved with the PIN"):
        operation_id = await ask_for_payment(story)
        shown = await shown_on(phone, operation_id)
        story.check(shown is not None, "the older phone lists it, with a MAC token of its version")
        await phone.approve(operation_id, Unlock(pin=PIN))
        story.check(await left(phone, operation_id) == 0, "and approved it")
        seen = await story.stage.operation(operation_id)
        story.check(seen["status"] == "APPROVED", "the operation is APPROVED")
