"""INVITE in embedded mode: who may call, who is found at once, who is woken, and what the caller is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.directory import NewSubscriber
from tests.calls.embedded_scene import PASSWORD, EmbeddedScene, ScriptedPhone, contacts
from tests.calls.scene import BY, DOMAIN, until

BOB = f"bob@{DOMAIN}"


@pytest.fixture
async def scene(sqlite_url: str, tmp_path: Path) -> AsyncIterator[EmbeddedScene]:
    """With the subscriber alice, who calls. The callee is made by the test."""
    async with EmbeddedScene.start(tmp_path, sqlite_url) as running:
        await running.account("alice")
        yield running


@pytest.fixture
async def alice(scene: EmbeddedScene) -> AsyncIterator[ScriptedPhone]:
    """A phone of alice."""
    async with scene.phone("alice") as phone:
        yield phone


@contextlib.asynccontextmanager
async def registered(scene: EmbeddedScene, *names: str) -> AsyncIterator[list[ScriptedPhone]]:
    """Phones that are registered."""
    async with contextlib.AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(scene.phone(name)) for name in names]
        for phone in phones:
            assert (await phone.register()).status == 200
        yield phones


# who may call ---------------------------------------------------------------------------------------------------------


async def test_a_stranger_calls_nobody(scene: EmbeddedScene) -> None:
    await scene.account("bob", phones=1)
    async with scene.phone("mallory") as mallory:
        call = await mallory.call(BOB)
        assert (await call.final()).status == 401
    assert scene.scene.apns.received == []


async def test_a_subscriber_calls_under_its_own_name_only(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    await scene.account("bob", phones=1)
    call = await alice.call(BOB, sender=f"<sip:eve@{DOMAIN}>;tag=forged")
    assert (await call.final()).status in {401, 403}
    anonymous = await alice.call(BOB, sender="<sip:anonymous@anonymous.invalid>;tag=hidden")
    assert (await anonymous.final()).status == 401
    assert scene.scene.apns.received == []


async def test_a_trusted_peer_calls_without_a_digest_and_says_who_calls(sqlite_url: str, tmp_path: Path) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_proxies="127.0.0.1") as scene:
        await scene.account("bob")
        async with registered(scene, "bob") as (bob,), scene.phone("gateway") as gateway:
            call = await gateway.call(BOB, proven=False, P_Asserted_Identity='"Alice" <tel:+4312345>')
            assert contacts(await call.answer(302)) == [bob.contact]
            record = await scene.scene.record()
            assert (record.caller, record.caller_name) == ("tel:+4312345", "Alice")


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("sip:nobody@example.com", 404),
        ("sip:bob@example.net", 404),
        ("sip:bob@192.0.2.1:5060", 404),
        ("sip:example.com", 404),
        ("tel:+4312345", 416),
        (f"sip:{'b' * 300}@example.com", 414),
    ],
)
async def test_nothing_is_relayed_and_nobody_unknown_is_looked_for(alice: ScriptedPhone, uri: str, status: int) -> None:
    fields = {"Contact": f"<{alice.contact}>"}
    answer = await alice.request("INVITE", uri, fields, to="<sip:somebody@example.com>", call_id="a call")
    assert (answer.status, answer.all("Contact")) == (status, [])


async def test_an_invite_inside_a_dialog_is_nobodys(alice: ScriptedPhone) -> None:
    answer = await alice.request("INVITE", f"sip:{BOB}", to=f"<sip:{BOB}>;tag=somebody", proven=False)
    assert answer.status == 481


# at once --------------------------------------------------------------------------------------------------------------


async def test_who_is_registered_is_found_at_once_and_nobody_is_pushed(
    scene: EmbeddedScene, alice: ScriptedPhone
) -> None:
    await scene.account("bob", phones=1)
    async with registered(scene, "bob", "bob") as phones:
        found = await (await alice.call(BOB)).answer(302)
        assert contacts(found) == [phone.contact for phone in reversed(phones)]
        assert [value.partition(";q=")[2] for value in found.all("Contact")] == ["1.0", "0.9"]
    record = await scene.scene.record()
    assert (record.outcome, record.status, record.pushes) == ("DEFLECTED", 302, 0)
    assert record.steps == ["preference", "deflected"]
    assert scene.scene.apns.received == []


async def test_no_caller_sees_a_push_token(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    await scene.account("bob")
    async with scene.phone("bob") as bob:
        assert (await bob.register(scene.pn())).status == 200
        assert contacts(await (await alice.call(BOB)).answer(302)) == [bob.contact]


@pytest.mark.parametrize("preference", ["never", "no_reg"])
async def test_a_callee_without_phones_is_not_waited_for(
    scene: EmbeddedScene, alice: ScriptedPhone, preference: str
) -> None:
    await scene.account("bob", mobile_push_enable=preference)
    assert (await (await alice.call(BOB)).final()).status == 480
    record = await scene.scene.record()
    assert record.outcome == {"never": "NOT_ENABLED", "no_reg": "NO_PHONE"}[preference]


async def test_never_means_that_nobody_is_woken(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    await scene.account("bob", phones=1, mobile_push_enable="never")
    assert (await (await alice.call(BOB)).final()).status == 480
    async with registered(scene, "bob") as (bob,):
        assert contacts(await (await alice.call(BOB)).final()) == [bob.contact]
    assert scene.scene.apns.received == []


async def test_a_disabled_callee_is_not_rung(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    await scene.account("bob", phones=1)
    async with registered(scene, "bob"):
        await scene.scene.disable("bob")
        assert (await (await alice.call(BOB)).final()).status == 480
    assert (await scene.scene.record()).reason == "the subscriber is disabled"


# waking ---------------------------------------------------------------------------------------------------------------


async def test_a_sleeping_phone_is_pushed_registers_and_is_called(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    (token,) = await scene.account("bob", phones=1)
    call = await alice.call(BOB)
    progress = await call.answer(183)
    (push,) = await scene.scene.pushed(token)
    assert push.headers["apns-push-type"] == "voip"
    async with scene.phone("bob") as bob:
        assert (await bob.register()).status == 200
        final = await call.answer(302)
        assert contacts(final) == [bob.contact]
        assert final.to_tag == progress.to_tag != ""
    record = await scene.scene.record()
    assert (record.outcome, record.status, record.pushes) == ("DEFLECTED", 302, 1)
    assert record.steps == ["preference", "pushed", "caller told", "registered", "deflected"]
    assert record.step("registered")["contact"] == bob.contact
    assert record.call_id == call.call_id


async def test_a_phone_that_told_its_push_token_by_register_is_woken_after_it_is_gone(
    scene: EmbeddedScene, alice: ScriptedPhone
) -> None:
    await scene.account("bob")
    async with scene.phone("bob") as bob:
        await bob.register(scene.pn("12" * 32))
        await bob.register(expires=0)
        call = await alice.call(BOB)
        await scene.scene.pushed("12" * 32)
        await bob.register(scene.pn("12" * 32))
        assert contacts(await call.answer(302)) == [bob.contact]


async def test_a_phone_that_never_wakes(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    (token,) = await scene.account("bob", phones=1, mobile_push_expiry=5)
    call = await alice.call(BOB)
    await call.answer(183)
    assert (await call.final()).status == 480
    record = await scene.scene.record()
    assert (record.outcome, record.status) == ("TIMEOUT", 480)
    assert len(await scene.scene.pushed(token)) == 1


async def test_a_caller_that_gives_up(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    (token,) = await scene.account("bob", phones=1)
    call = await alice.call(BOB)
    await call.answer(183)
    await scene.scene.pushed(token)
    await call.cancel()
    record = await scene.scene.record()
    assert (record.outcome, record.status) == ("CANCELLED", 487)
    async with scene.phone("bob") as bob:  # late: nothing happens to the call
        assert (await bob.register()).status == 200
    assert len(await scene.scene.records()) == 1


async def test_three_registers_after_one_push_are_one_answer(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    (token,) = await scene.account("bob", phones=1)
    call = await alice.call(BOB)
    await scene.scene.pushed(token)
    async with scene.phone("bob") as bob:
        for _ in range(3):
            assert (await bob.register()).status == 200
    await call.answer(302)
    await asyncio.sleep(0)
    assert [m.status for m in alice.peer.came if m.get("Call-ID") == call.call_id and m.status >= 300] == [401, 302]
    assert (await scene.scene.record()).outcome == "DEFLECTED"


async def test_two_phones_are_pushed_and_the_first_one_gets_the_call(
    scene: EmbeddedScene, alice: ScriptedPhone
) -> None:
    tokens = await scene.account("bob", phones=2)
    call = await alice.call(BOB)
    for token in tokens:
        await scene.scene.pushed(token)
    async with scene.phone("bob") as first, scene.phone("bob") as second:
        await first.register()
        assert contacts(await call.answer(302)) == [first.contact]
        await second.register()

        async def both_are_noted() -> bool:
            return (await scene.scene.record()).steps.count("registered") == 2

        await until(both_are_noted)


async def test_a_call_that_comes_back_is_not_pushed_again(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    (token,) = await scene.account("bob", phones=1)
    call = await alice.call(BOB, call_id="one call")
    await scene.scene.pushed(token)
    async with scene.phone("bob") as bob:
        await bob.register()
        await call.answer(302)
        again = await alice.call(BOB, call_id="one call")
        assert contacts(await again.answer(302)) == [bob.contact]
    assert len(scene.scene.apns.received) == 1


async def test_a_call_that_goes_round_is_ended(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    await scene.account("bob")
    async with registered(scene, "bob"):
        statuses = [(await (await alice.call(BOB, call_id="round and round")).final()).status for _ in range(4)]
    assert statuses == [302, 302, 302, 482]


async def test_a_caller_with_an_outbound_proxy_is_not_told_the_same_address_for_ever(
    scene: EmbeddedScene, alice: ScriptedPhone
) -> None:
    """Linphone sends what it was told in the Contact to its proxy again, each time with another Call-ID."""
    host = "127.0.0.1"
    store, directory = scene.scene.served.installation.store, scene.scene.served.rooms.sip_directory
    await store.write(directory.domains.create, BY, host, ())
    await store.write(directory.subscribers.create, BY, NewSubscriber(domain=host, username="bob", user_id="bob"))
    await store.write(directory.credentials.set_password, BY, host, "bob", PASSWORD, None)
    async with scene.phone("bob") as bob:
        bob.aor = f"bob@{host}"
        done = await bob.request("REGISTER", f"sip:{host}", {"Contact": f"<{bob.contact}>"}, to=f"<sip:{bob.aor}>")
        assert done.status == 200
        (told,) = contacts(await (await alice.call(f"sip:bob@{host}")).answer(302))
        assert (await (await alice.call(told)).final()).status == 404
    first, second = await scene.scene.records(f"bob@{host}", 2)
    assert (first.outcome, second.outcome, second.pushes) == ("DEFLECTED", "REFUSED", 0)
    assert second.reason is not None
    assert "outbound proxy" in second.reason


async def test_a_callee_is_not_pushed_all_night(sqlite_url: str, tmp_path: Path) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_pushes_per_minute=2) as scene:
        await scene.account("alice")
        (token,) = await scene.account("bob", phones=1)
        async with scene.phone("alice") as alice:
            for _ in range(2):
                call = await alice.call(BOB)
                await call.answer(183)
                await call.cancel()
            refused = await (await alice.call(BOB)).final()
            assert (refused.status, refused.get("Retry-After")) == (480, "60")
            assert len(await scene.scene.pushed(token, 2)) == 2
            record = (await scene.scene.records(count=3))[-1]
            assert (record.outcome, record.pushes) == ("REFUSED", 0)


async def test_more_calls_than_may_wait_are_told_to_come_back(sqlite_url: str, tmp_path: Path) -> None:
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_max_calls=1) as scene:
        await scene.account("alice")
        await scene.account("bob", phones=1)
        async with scene.phone("alice") as alice:
            call = await alice.call(BOB)
            await call.answer(183)
            refused = await (await alice.call(BOB, proven=False)).final()
            assert (refused.status, refused.get("Retry-After")) == (503, "5")
            await call.cancel()


async def test_who_waits_when_the_server_stops_is_told(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    (token,) = await scene.account("bob", phones=1)
    call = await alice.call(BOB)
    await scene.scene.pushed(token)
    stopping = asyncio.create_task(scene.scene.stop())  # type: ignore[arg-type]
    assert (await call.final()).status == 480
    await stopping
    record = await scene.scene.record()
    assert (record.outcome, record.status, record.reason) == ("OVERLOADED", 480, "the server stopped")


# preferences ----------------------------------------------------------------------------------------------------------


async def test_always_wakes_a_phone_although_another_one_is_there(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    (token,) = await scene.account("bob", phones=1, mobile_push_enable="always")
    async with registered(scene, "bob") as (desk,), scene.phone("bob") as mobile:
        call = await alice.call(BOB)
        await scene.scene.pushed(token)
        await mobile.register()
        found = await call.answer(302)
        assert contacts(found) == [mobile.contact, desk.contact]
        assert [value.partition(";q=")[2] for value in found.all("Contact")] == ["1.0", "1.0"]


async def test_push_then_reg_wants_the_phone_that_was_woken_to_be_tried_first(
    scene: EmbeddedScene, alice: ScriptedPhone
) -> None:
    (token,) = await scene.account("bob", phones=1, mobile_push_enable="push_then_reg")
    async with registered(scene, "bob") as (desk,), scene.phone("bob") as mobile:
        call = await alice.call(BOB)
        await scene.scene.pushed(token)
        await mobile.register()
        found = await call.answer(302)
        assert contacts(found) == [mobile.contact, desk.contact]
        assert [value.partition(";q=")[2] for value in found.all("Contact")] == ["1.0", "0.9"]


async def test_always_falls_back_to_who_is_there(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    await scene.account("bob", phones=1, mobile_push_enable="always", mobile_push_expiry=5)
    async with registered(scene, "bob") as (desk,):
        call = await alice.call(BOB)
        await call.answer(183)
        assert contacts(await call.final()) == [desk.contact]


async def test_only_push_leaves_the_others_out(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    (token,) = await scene.account("bob", phones=1, mobile_push_enable="only_push")
    async with registered(scene, "bob"), scene.phone("bob") as mobile:
        call = await alice.call(BOB)
        await scene.scene.pushed(token)
        await mobile.register()
        assert contacts(await call.answer(302)) == [mobile.contact]


async def test_a_register_that_was_overtaken_takes_no_call(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    (token,) = await scene.account("bob", phones=1, mobile_push_enable="only_push")
    async with scene.phone("bob") as mobile:
        assert (await mobile.register(cseq=20)).status == 200
        call = await alice.call(BOB)
        await scene.scene.pushed(token)
        late = f'<sip:bob@127.0.0.1:1>;+sip.instance="{mobile.instance}"'
        assert (await mobile.register(contact=late, cseq=7)).status == 500
        assert (await mobile.register(cseq=21)).status == 200
        assert contacts(await call.final()) == [mobile.contact]


async def test_only_push_does_not_fall_back(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    await scene.account("bob", phones=1, mobile_push_enable="only_push", mobile_push_expiry=5)
    async with registered(scene, "bob"):
        assert (await (await alice.call(BOB)).final()).status == 480


async def test_reg_then_push_wakes_the_others_when_the_caller_comes_back(
    scene: EmbeddedScene, alice: ScriptedPhone
) -> None:
    (token,) = await scene.account("bob", phones=1, mobile_push_enable="reg_then_push")
    async with registered(scene, "bob") as (desk,), scene.phone("bob") as mobile:
        first = await (await alice.call(BOB, call_id="one call")).answer(302)
        (phone, again) = contacts(first)
        assert phone == desk.contact
        assert scene.scene.apns.received == []
        call = await alice.call(again, call_id="one call")
        await scene.scene.pushed(token)
        await mobile.register()
        assert contacts(await call.answer(302)) == [mobile.contact]


async def test_a_call_to_one_phone_by_its_name_wakes_only_that_one(scene: EmbeddedScene, alice: ScriptedPhone) -> None:
    await scene.account("bob")
    async with scene.phone("bob") as one, scene.phone("bob") as other:
        said = await one.register(scene.pn("11" * 32) + ";pn-purr")
        await other.register(scene.pn("22" * 32) + ";pn-purr")
        purr = said.get("Feature-Caps").partition('+sip.pnspurr="')[2].rstrip('"')
        found = await (await alice.call(f"sip:{BOB};pn-purr={purr}")).answer(302)
        assert contacts(found) == [one.contact]
        await one.register(expires=0)
        call = await alice.call(f"sip:{BOB};pn-purr={purr}")
        await scene.scene.pushed("11" * 32)
        await other.register()
        await one.register()
        assert contacts(await call.answer(302)) == [one.contact]
    assert [push.push_token for push in scene.scene.apns.received] == ["11" * 32]
