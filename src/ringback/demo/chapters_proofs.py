"""Chapters about other ways of proving: a MAC token, the vault's key, digits that a person types."""

from __future__ import annotations

from ringback.demo.scenes import ATTEMPTS, PIN, WRONG_PIN, ask_for_payment
from ringback.demo.story import Story
from ringback.protocols.powerauth.keys import public_key_from_bytes, verify_der
from ringback.softphone import FactorsRefused, OfflineAnswer, Phone, SignatureRefused, Unlock


async def a_mac_token(story: Story) -> None:
    """The app shows who it is while nobody looks at it."""
    stage, phone = story.stage, story.stage.phones["first"]
    async with story.step("Phone → Ringback: a MAC token, made with possession only"):
        story.check(await phone.create_token(), "the phone keeps a MAC token for requests that only read")
    async with story.step("Phone → Bank's back end → Ringback: whose request is this?"):
        header = await phone.token_header()
        verified = await stage.back_end.call("POST", "/v2/token/verify", {"authHeader": header})
        story.check(verified["tokenValid"] is True, "the MAC token is valid")
        story.check(verified["userId"] == stage.user_id, "and it is Alice's")
        story.check(verified["signatureType"] == "possession", "made without a person")
    async with story.step("Thief → Bank's back end → Ringback: the same header again"):
        replayed = await stage.back_end.call("POST", "/v2/token/verify", {"authHeader": header})
        story.check(replayed["tokenValid"] is False, "a header counts once")


async def the_vault(story: Story) -> None:
    """A key that the phone keeps sealed, and the server opens for the right PIN."""
    phone = story.stage.phones["first"]
    document = b"I, Alice, sign this."
    async with story.step("Alice → Phone ⇄ Ringback: open the vault with the PIN, sign with the device's own key"):
        signature = await phone.sign_with_device_key(document, Unlock(pin=PIN))
        device_key = public_key_from_bytes(phone.state.device_public_key)
        story.check(verify_der(device_key, signature, document), "anybody can verify it with the public key")
        story.check(not verify_der(device_key, signature, document + b"!"), "and a changed document does not fit")
    async with story.step("Thief → Phone → Ringback: open it with a wrong PIN, then without one"):
        story.check(await _stays_shut(phone, Unlock(pin=WRONG_PIN)), "a wrong PIN opens nothing")
        left = (await phone.status()).remaining_attempts
        story.check(left == ATTEMPTS - 1, "and counts as a wrong one")
        story.check(await _stays_shut(phone, Unlock(biometry=True)), "biometry is not enough, unless a setting says so")
    async with story.step("Alice → Phone → Ringback: the right PIN"):
        await phone.validate(Unlock(pin=PIN))
        story.check((await phone.status()).remaining_attempts == ATTEMPTS, "all attempts are there again")


async def no_network(story: Story) -> None:
    """A QR code goes in, digits come out, a person carries both."""
    stage, phone = story.stage, story.stage.phones["first"]
    operation = f"/v2/operations/{await _asked(story)}"
    registration_id = stage.registrations["first"]
    async with story.step("Bank's back end → Ringback: a QR code of it, for Alice's phone"):
        query = {"registrationId": registration_id}
        made = await stage.back_end.call("GET", f"{operation}/offline/qr", query=query)
        story.check(made["nonce"] in made["operationQrCodeData"], "the QR code carries a nonce and a signature")
    story.narrator.qr_code(made["operationQrCodeData"])
    async with story.step("Alice → Phone, in flight mode: scan, read, approve with the PIN"):
        answer = phone.answer_offline(made["operationQrCodeData"], Unlock(pin=PIN))
        story.check(answer.title, "the phone shows what it is about")
        story.check(len(answer.grouped) == len("1234-5678-1234-5678"), "and 16 digits to type")
    story.narrator.show(f"{answer.title}: {answer.message} → {answer.grouped}")
    async with story.step("Thief → Bank's web page → Ringback: other digits"):
        story.check(not await _typed(story, operation, made["nonce"], _other(answer)), "they are refused")
    async with story.step("Alice → Bank's web page → Ringback: the digits"):
        story.check(await _typed(story, operation, made["nonce"], answer.grouped), "they are hers")
        seen = await stage.back_end.call("GET", operation)
        story.check(seen["status"] == "APPROVED", "the operation is APPROVED")


async def _asked(story: Story) -> str:
    async with story.step("Bank's back end → Ringback: ask Alice to pay, while her phone has no network"):
        return await ask_for_payment(story)


async def _typed(story: Story, operation: str, nonce: str, digits: str) -> bool:
    content = {"otp": digits, "nonce": nonce, "registrationId": story.stage.registrations["first"]}
    said = await story.stage.back_end.call("POST", f"{operation}/offline/otp", content)
    return said["otpValid"] is True


def _other(answer: OfflineAnswer) -> str:
    return answer.grouped[:-1] + ("0" if answer.grouped[-1] != "0" else "1")


async def _stays_shut(phone: Phone, unlock: Unlock) -> bool:
    try:
        await phone.unlock_vault("FETCH_ENCRYPTION_KEY", unlock)
    except (SignatureRefused, FactorsRefused):
        return True
    return False
