"""The phone against the server halves of the protocol, over real HTTP."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ringback.clock import ManualClock
from ringback.protocols.powerauth.activation_code import build_qr, generate_activation_code, sign_activation_code
from ringback.protocols.powerauth.keys import generate_private_key
from ringback.protocols.powerauth.primitives import next_counter
from ringback.softphone import (
    POSSESSION,
    ActivationRefused,
    Answering,
    BiometryOff,
    CodeRefused,
    ConfigurationRefused,
    MacTokenRefused,
    NotActivated,
    OperationUnknown,
    Phone,
    ServerNotGenuine,
    ServerUnreachable,
    SignatureRefused,
    SipAccount,
    StateFile,
    Unlock,
    answer_calls,
)
from tests.softphone.conftest import PIN
from tests.softphone.server_double import ServerDouble
from tests.softphone.test_call_push import CALL

RIGHT = Unlock(pin=PIN)
WRONG = Unlock(pin="0000")


async def test_activation_agrees_on_everything(double: ServerDouble, state_file: StateFile, version: str) -> None:
    async with Phone(state_file, clock=ManualClock(double.clock.now_ms() + 999_999)) as phone:
        code = double.code.lower()
        activated = await phone.activate(double.url, double.sdk_config, code, name="Mine", pin=PIN, version=version)
        assert state_file.load().protocol_version == version
        assert ("/pa/v3/keystore/create" in double.seen) is (version == "3.3")
        assert ("/pa/v3/status" in double.seen) is (version == "3.2")  # envelopes carry the server's time
        assert activated.fingerprint == double.fingerprint
        assert activated.activation_id == double.activation_id
        assert double.name == "Mine"
        assert (await phone.status()).status == "PENDING_COMMIT"
        assert phone.state.transport_key == double.keys.transport
        assert phone.state.knowledge_key(PIN) == double.keys.knowledge


async def test_used_code_is_refused_in_words(phone: Phone, double: ServerDouble) -> None:
    before = phone.state
    with pytest.raises(ActivationRefused, match=r"wrong, used or expired.*ERR_ACTIVATION"):
        await phone.activate(double.url, double.sdk_config, double.code, name="again", pin=PIN)
    assert phone.state == before


async def test_codes_and_configurations_that_are_not_genuine(double: ServerDouble, state_file: StateFile) -> None:
    forged = build_qr(double.code, sign_activation_code(generate_private_key(), double.code))
    async with Phone(state_file) as phone:
        for code in (forged, double.code[:-1], "", double.qr[:-2], generate_activation_code(lambda n: b"x" * n) + "#"):
            with pytest.raises(CodeRefused):
                await phone.activate(double.url, double.sdk_config, code, name="x", pin=PIN)
        with pytest.raises(ConfigurationRefused):
            await phone.activate(double.url, double.sdk_config[:-8], double.code, name="x", pin=PIN)
        assert double.seen == []
        with pytest.raises(NotActivated):
            await phone.status()


async def test_temporary_key_of_somebody_else_is_refused(double: ServerDouble, state_file: StateFile) -> None:
    double.sign_temporary_keys_with = generate_private_key()
    async with Phone(state_file) as phone:
        with pytest.raises(ServerNotGenuine):
            await phone.activate(double.url, double.sdk_config, double.qr, name="x", pin=PIN)


async def test_all_factors(phone: Phone, double: ServerDouble) -> None:
    for unlock in (RIGHT, POSSESSION, Unlock(biometry=True), Unlock(pin=PIN, biometry=True)):
        await phone.validate(unlock)
    assert double.counter == 4
    status = await phone.status()
    assert (status.status, status.counters, status.remaining_attempts) == ("ACTIVE", "in step", 5)


async def test_wrong_pin_shows_only_as_a_wrong_signature(phone: Phone, double: ServerDouble) -> None:
    with pytest.raises(SignatureRefused, match="PIN was wrong"):
        await phone.validate(WRONG)
    assert double.failed == 1
    status = await phone.status()
    assert (status.remaining_attempts, status.counters, status.counter_gap) == (4, "phone ahead", 1)
    await phone.validate(RIGHT)
    assert double.failed == 0
    assert (await phone.status()).counters == "in step"


async def test_five_wrong_pins_block(phone: Phone, double: ServerDouble) -> None:
    for _ in range(5):
        with pytest.raises(SignatureRefused):
            await phone.validate(WRONG)
    assert (await phone.status()).status == "BLOCKED"
    with pytest.raises(SignatureRefused):
        await phone.validate(RIGHT)
    double.status, double.failed = "ACTIVE", 0
    await phone.validate(RIGHT)


async def test_counter_is_on_the_disk_before_the_signature_leaves(
    phone: Phone, double: ServerDouble, state_file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = phone.state
    order: list[str] = []

    async def dies(*_: object) -> None:
        order.append("sent")
        assert state_file.load().counter_data == next_counter(before.counter_data)
        assert state_file.load().counter == before.counter + 1
        raise ServerUnreachable

    with monkeypatch.context() as patch:
        patch.setattr(phone, "_send", dies)
        with pytest.raises(ServerUnreachable):
            await phone.validate(RIGHT)
    assert order == ["sent"]
    async with Phone(state_file, clock=double.clock) as restarted:
        await restarted.validate(RIGHT)
    assert double.counter == 2


async def test_state_that_cannot_be_saved_sends_nothing(
    phone: Phone, double: ServerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    seen = len(double.seen)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Exception, match="No space left on device"):
        await phone.validate(RIGHT)
    assert len(double.seen) == seen


async def test_server_ahead_phone_catches_up(phone: Phone, double: ServerDouble) -> None:
    for _ in range(7):
        double.counter, double.counter_data = double.counter + 1, next_counter(double.counter_data)
    with pytest.raises(SignatureRefused):
        await phone.validate(RIGHT)
    status = await phone.status()
    assert (status.counters, status.counter_gap) == ("caught up", 6)
    await phone.validate(RIGHT)


@pytest.mark.parametrize(
    ("gap", "counters", "soon"), [(10, "phone ahead", False), (11, "phone ahead", True), (20, "lost", False)]
)
async def test_phone_ahead(phone: Phone, gap: int, counters: str, soon: bool) -> None:
    for _ in range(gap):
        phone.sign("POST", "/x", b"", RIGHT)
    status = await phone.status()
    assert (status.counters, status.should_sign_soon) == (counters, soon)


async def test_signature_for_another_server(phone: Phone, double: ServerDouble) -> None:
    header = phone.sign("POST", "/mobile/login", b"login", RIGHT)
    assert double.check_header(header, "POST", "/mobile/login", b"login")
    assert not double.check_header(header, "POST", "/mobile/login", b"login")


async def test_operations(phone: Phone, double: ServerDouble) -> None:
    first, second = double.add_operation(), double.add_operation()
    assert [operation.id for operation in await phone.list_operations()] == [first, second]
    shown = await phone.approve(first, RIGHT)
    assert shown.form_data.title == "Payment"
    await phone.reject(second, "INCORRECT_DATA")
    assert double.approved == [first]
    assert double.rejected == {second: "INCORRECT_DATA"}
    with pytest.raises(OperationUnknown):
        await phone.approve("no-such", RIGHT)
    assert double.seen.count("/pa/v3/token/create") == 1
    double.status = "BLOCKED"
    with pytest.raises(MacTokenRefused):
        await phone.list_operations()


async def test_biometry_can_be_off(double: ServerDouble, state_file: StateFile) -> None:
    async with Phone(state_file, clock=double.clock) as phone:
        await phone.activate(double.url, double.sdk_config, double.code, name="x", pin=PIN, biometry=False)
        double.status = "ACTIVE"
        with pytest.raises(BiometryOff):
            await phone.validate(Unlock(biometry=True))
        assert phone.state.counter == 0


async def test_temporary_key_is_kept_until_shortly_before_its_end(double: ServerDouble, state_file: StateFile) -> None:
    clock = double.clock
    async with Phone(state_file, clock=clock) as phone:
        await phone.activate(double.url, double.sdk_config, double.code, name="x", pin=PIN)
        double.status = "ACTIVE"
        await phone.create_token()
        assert double.seen.count("/pa/v3/keystore/create") == 2  # one per scope
        clock.advance(289)
        await phone.create_token()
        assert double.seen.count("/pa/v3/keystore/create") == 2
        clock.advance(1)
        await phone.create_token()
        assert double.seen.count("/pa/v3/keystore/create") == 3


async def test_unknown_phone_and_removal(phone: Phone, double: ServerDouble, state_file: StateFile) -> None:
    double.activation_id, known = "another", double.activation_id
    assert (await phone.status()).status == "UNKNOWN"
    double.activation_id = known
    await phone.remove(RIGHT)
    assert double.status == "REMOVED"
    assert not state_file.path.exists()


async def test_pushes_come_once_each_over_broken_connections(phone: Phone, double: ServerDouble) -> None:
    await phone.register_push()
    assert double.push["platform"] == "local"
    double.events = [("0001", '{"n": 1}'), ("0002", "not json"), ("0003", '{"n": 3}')]
    async with asyncio.timeout(60):
        async with phone.open_push_stream() as pushes:
            assert (await anext(pushes)).content == {"n": 1}
            assert (await anext(pushes)).content == {"n": 3}
            assert phone.state.last_push_id == "0003"
            assert double.streams == [None, "0001", "0002"]
            double.status = "BLOCKED"
            with pytest.raises(MacTokenRefused):
                await anext(pushes)
        double.status, double.events = "ACTIVE", [*double.events, ("0004", '{"n": 4}')]
        async with phone.open_push_stream() as pushes:
            assert (await anext(pushes)).content == {"n": 4}


async def test_pushes_come_after_the_clock_of_the_server_was_set_back(phone: Phone, double: ServerDouble) -> None:
    await phone.register_push()
    double.events = [("0001", '{"n": 1}')]
    async with asyncio.timeout(60), phone.open_push_stream() as pushes:
        assert (await anext(pushes)).content == {"n": 1}
        double.clock.advance(-3600)
        double.events.append(("0002", '{"n": 2}'))
        assert (await anext(pushes)).content == {"n": 2}


async def test_a_call_is_not_over_because_the_clock_of_the_server_was_set_back(
    phone: Phone, double: ServerDouble
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    account = SipAccount(uri="sip:bob@example.com", server="127.0.0.1:9", password="secret")

    async def next_told() -> str:
        async with asyncio.timeout(60):
            return await told.get()

    def push(push_id: str, ends_at: int) -> tuple[str, str]:
        call = {**CALL, "pushid": push_id, "ringexpiretime": str(ends_at)}
        return push_id, msgspec.json.encode({"pushId": push_id, "call": call}).decode()

    answering = asyncio.create_task(
        answer_calls(
            phone, account, Answering(), once=True, awake=False,
            told=told.put_nowait, moved=lambda *_: None, ended=lambda _: None,
        )
    )  # fmt: skip
    try:
        assert await next_told() == "Asleep. Waiting for a push."
        double.events = [push("0001", double.clock.now_ms())]
        assert await next_told() == "A push: Alice called, but that is over."
        double.before_event = lambda: double.clock.advance(-3600)
        double.events.append(push("0002", double.clock.now_ms() - 3_600_000 + 30_000))
        assert await next_told() == "A push: Alice calls. Waking up."
    finally:
        answering.cancel()


async def test_server_that_is_not_there(state_file: StateFile, double: ServerDouble) -> None:
    async with Phone(state_file, timeout_seconds=60) as phone:
        with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:9 does not answer"):
            await phone.activate("http://127.0.0.1:9", double.sdk_config, double.code, name="x", pin=PIN)
        with pytest.raises(ServerUnreachable, match="is no URL"):
            await phone.activate("localhost", double.sdk_config, double.code, name="x", pin=PIN)


async def test_signed_requests_wait_for_each_other(phone: Phone, double: ServerDouble) -> None:
    await asyncio.gather(*(phone.validate(RIGHT) for _ in range(25)))
    assert double.counter == 25
    assert double.failed == 0
