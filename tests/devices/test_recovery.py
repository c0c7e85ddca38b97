"""Recovery codes: with an activation, on a postcard, confirmed, redeemed; over HTTP, on both databases."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from ringback.softphone import (
    FactorsRefused,
    Phone,
    RecoveryRefused,
    RefusedByServer,
    SignatureRefused,
    Unlock,
    enrolment,
)
from ringback.store import Query, Tx
from tests.devices.phone import ALL_VERSIONS
from tests.devices.stories import (
    PIN,
    REGISTRATIONS,
    activation,
    active_phone,
    audited,
    commit,
    configure,
    create,
    detail,
    new_phone,
    status,
)
from tests.served import Answer, Served

CODES = "/api/v1/recovery-codes"
AT_ONCE = 50
_secrets = Query("secrets", "Test.", "SELECT code_fingerprint, code_masked FROM recovery_codes")
_puk_secrets = Query("puk_secrets", "Test.", "SELECT puk_fingerprint FROM recovery_puks")
_details = Query("audit_details", "Test.", "SELECT details FROM audit_log WHERE details IS NOT NULL")


@pytest.fixture
async def served(served: Served) -> Served:
    """A server whose app has recovery codes."""
    await configure(served, "recovery", {"enabled": True})
    return served


async def postcard(served: Served, user_id: str = "jan", **more: Any) -> dict[str, Any]:
    answer = await served.call("POST", CODES, {"appId": "bank", "userId": user_id, **more})
    assert answer.status == 201, answer.body
    created: dict[str, Any] = answer.body
    return created


async def good_postcard(served: Served, puk_count: int = 3) -> dict[str, Any]:
    """A postcard that a phone of its user has confirmed."""
    card = await postcard(served, pukCount=puk_count)
    assert await (await active_phone(served)).confirm_recovery_code(card["recoveryCode"], PIN) is False
    return card


async def codes_of(served: Served, user_id: str = "jan") -> list[dict[str, Any]]:
    answer = await served.call("GET", f"{CODES}?appId=bank&userId={user_id}")
    found: list[dict[str, Any]] = answer.body["recoveryCodes"]
    return found


async def recover(served: Served, code: str, puk: str, **more: Any) -> Phone:
    phone = new_phone(served)
    await phone.activate_by_recovery(recovery_code=code, puk=puk, **activation(served, **more))
    return phone


async def activate(served: Served, **fields: Any) -> tuple[str, Any]:
    """A phone with a recovery code of its own: the registration's id, and what the person writes down."""
    created = await create(served, **fields)
    told = await new_phone(served).activate(code=created["activationCode"], **activation(served))
    assert told.recovery is not None
    return told.activation_id, told.recovery


async def refusal_of(served: Served, code: str, puk: str) -> RecoveryRefused:
    with pytest.raises(RecoveryRefused) as refused:
        await recover(served, code, puk)
    assert (refused.value.http_status, refused.value.server_code) == (400, "ERR_RECOVERY")
    assert refused.value.server_message == "POWER_AUTH_RECOVERY_INVALID"
    return refused.value


def wrong(puk: str) -> str:
    return str(9_999_999_999 - int(puk)).zfill(10)


@pytest.mark.parametrize("version", ALL_VERSIONS)
async def test_a_lost_phone_is_replaced_with_code_and_puk(served: Served, version: str) -> None:
    lost, written_down = await activate(served, commitPhase="ON_KEY_EXCHANGE", flags=["A"])
    phone = await recover(served, "R:" + written_down.recovery_code, written_down.puk, version=version)
    assert (await phone.status()).status == "ACTIVE"
    await phone.validate(PIN)
    shown = await detail(served, phone.state.activation_id)
    assert (shown["userId"], shown["registrationStatus"], shown["flags"]) == ("jan", "ACTIVE", [])
    assert await status(served, lost) == "REMOVED"
    listed = await served.call("GET", f"{REGISTRATIONS}?userId=jan")
    assert [one["registrationId"] for one in listed.body["registrations"]] == [phone.state.activation_id]
    newest, oldest = await codes_of(served)
    assert (oldest["status"], oldest["registrationId"], oldest["puks"][0]["status"]) == ("REVOKED", lost, "USED")
    assert (newest["status"], newest["registrationId"]) == ("ACTIVE", phone.state.activation_id)
    assert (await refusal_of(served, written_down.recovery_code, written_down.puk)).puk_index is None
    assert (await audited(served, lost))[-1] == "registration.remove"
    assert {"recovery_code.use", "recovery_code.use_bound"} <= set(await audited(served, oldest["recoveryCodeId"]))
    made = set(await audited(served, phone.state.activation_id))
    assert {"registration.create", "registration.key_exchange_commits"} <= made


async def test_a_code_becomes_good_with_the_commit_of_its_registration(served: Served) -> None:
    registration_id, written_down = await activate(served)
    assert [one["status"] for one in await codes_of(served)] == ["CREATED"]
    assert (await refusal_of(served, written_down.recovery_code, written_down.puk)).puk_index is None
    other = await active_phone(served)
    with pytest.raises(RecoveryRefused):  # confirming is for postcards; this one waits for its commit
        await other.confirm_recovery_code(written_down.recovery_code, PIN)
    await commit(served, registration_id)
    assert [one["status"] for one in await codes_of(served)] == ["ACTIVE", "ACTIVE"]
    assert await other.confirm_recovery_code(written_down.recovery_code, PIN) is True
    await recover(served, written_down.recovery_code, written_down.puk)
    assert await status(served, registration_id) == "REMOVED"


@pytest.mark.parametrize("committed", [True, False])
async def test_a_code_dies_with_its_registration(served: Served, committed: bool) -> None:
    registration_id, written_down = await activate(served, commitPhase="ON_KEY_EXCHANGE" if committed else "ON_COMMIT")
    await served.call("PUT", f"{REGISTRATIONS}/{registration_id}", {"change": "REMOVE"})
    (code,) = await codes_of(served)
    assert (code["status"], code["puks"][0]["status"]) == ("REVOKED", "INVALID")
    assert (await refusal_of(served, written_down.recovery_code, written_down.puk)).puk_index is None
    assert (await audited(served, code["recoveryCodeId"]))[-1] == "recovery_code.registration_removed"


async def test_a_blocked_phone_can_be_replaced_too(served: Served) -> None:
    lost, written_down = await activate(served, commitPhase="ON_KEY_EXCHANGE")
    await served.call("PUT", f"{REGISTRATIONS}/{lost}", {"change": "BLOCK"})
    await recover(served, written_down.recovery_code, written_down.puk)
    assert await status(served, lost) == "REMOVED"


async def test_recovery_is_off_unless_the_app_turns_it_on(served: Served) -> None:
    card = await good_postcard(served)
    await configure(served, "recovery", {"enabled": False})
    created = await create(served)
    told = await new_phone(served).activate(code=created["activationCode"], **activation(served))
    assert told.recovery is None
    assert (await refusal_of(served, card["recoveryCode"], card["puks"][0]["puk"])).puk_index is None
    refused = await served.call("POST", CODES, {"appId": "bank", "userId": "jan"})
    assert (refused.status, refused.body["title"]) == (400, "RecoveryDisabled")
    await configure(served, "recovery", {"enabled": True})
    await recover(served, card["recoveryCode"], card["puks"][0]["puk"])


@pytest.mark.parametrize("version", ALL_VERSIONS)
async def test_a_postcard_is_confirmed_by_a_phone_of_its_user(served: Served, version: str) -> None:
    card = await postcard(served, pukCount=2)
    assert card["recoveryQrCodeData"] == "R:" + card["recoveryCode"]
    assert [one["pukIndex"] for one in card["puks"]] == [1, 2]
    assert card["status"] == "CREATED"
    assert (await refusal_of(served, card["recoveryCode"], card["puks"][0]["puk"])).puk_index is None
    phone = await active_phone(served, version=version)
    assert await phone.confirm_recovery_code(card["recoveryQrCodeData"], PIN) is False
    assert await phone.confirm_recovery_code(card["recoveryCode"], PIN) is True
    shown = (await served.call("GET", f"{CODES}/{card['recoveryCodeId']}")).body
    assert (shown["status"], shown["failedAttempts"], shown["maxFailedAttempts"]) == ("ACTIVE", 0, 5)
    assert await audited(served, card["recoveryCodeId"]) == ["recovery_code.create", "recovery_code.confirm"]


async def test_only_the_user_confirms_and_only_with_two_factors(served: Served) -> None:
    card = await postcard(served)
    stranger, owner = await active_phone(served, "eva"), await active_phone(served)
    for text in (card["recoveryCode"], "AAAAA-AAAAA-AAAAA-AAAAA", "", "R:", card["recoveryCode"].lower()):
        with pytest.raises(RecoveryRefused) as refused:
            await stranger.confirm_recovery_code(text, PIN)
        assert refused.value.puk_index is None
    with pytest.raises(FactorsRefused):
        await owner.confirm_recovery_code(card["recoveryCode"], Unlock())
    with pytest.raises(SignatureRefused):
        await owner.confirm_recovery_code(card["recoveryCode"], Unlock(pin="0000"))
    assert (await owner.status()).failed_attempts == 1
    assert [one["status"] for one in await codes_of(served) if "registrationId" not in one] == ["CREATED"]


async def test_a_code_belongs_to_its_app(served: Served) -> None:
    card = await good_postcard(served)
    shop, _ = await served.new_tenant("shop")
    await configure(served, "recovery", {"enabled": True}, "shop")
    phone = new_phone(served)
    with pytest.raises(RecoveryRefused):
        await phone.activate_by_recovery(
            served.public,
            shop["mobileSdkConfig"],
            card["recoveryCode"],
            card["puks"][0]["puk"],
            name="Phone",
            pin="1234",
        )


async def test_puks_are_used_in_their_order_and_once(served: Served) -> None:
    card = await good_postcard(served)
    code, puks = card["recoveryCode"], [one["puk"] for one in card["puks"]]
    assert (await refusal_of(served, code, puks[1])).puk_index == 1
    assert (await refusal_of(served, code, wrong(puks[0]))).puk_index == 1
    first = await recover(served, code, puks[0])
    assert (await refusal_of(served, code, puks[0])).puk_index == 2
    second = await recover(served, code, f"{puks[1][:5]}-{puks[1][5:]}")
    await recover(served, code, puks[2])
    for phone in (first, second):  # a postcard belongs to no phone, so none is removed
        assert (await phone.status()).status == "ACTIVE"
    assert (await refusal_of(served, code, puks[2])).puk_index is None
    shown = (await served.call("GET", f"{CODES}/{card['recoveryCodeId']}")).body
    assert (shown["status"], shown["failedAttempts"]) == ("ACTIVE", 0)
    assert [one["status"] for one in shown["puks"]] == ["USED"] * 3
    assert all(one["timestampUsed"] > 0 for one in shown["puks"])


async def test_the_fifth_wrong_puk_blocks_the_code(served: Served) -> None:
    card = await good_postcard(served)
    code, puk = card["recoveryCode"], card["puks"][0]["puk"]
    indexes = [(await refusal_of(served, code, wrong(puk))).puk_index for _ in range(6)]
    assert indexes == [1, 1, 1, 1, None, None]
    assert (await refusal_of(served, code, puk)).puk_index is None
    await _is_blocked(served, card["recoveryCodeId"])


async def test_fifty_wrong_puks_at_once_are_counted_exactly(served: Served) -> None:
    card = await good_postcard(served)
    guesses = (recover(served, card["recoveryCode"], wrong(card["puks"][0]["puk"])) for _ in range(AT_ONCE))
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert [type(result) for result in results] == [RecoveryRefused] * AT_ONCE
    assert [result.puk_index for result in results if isinstance(result, RecoveryRefused)].count(1) == 4
    await _is_blocked(served, card["recoveryCodeId"])


async def test_a_replayed_wrong_puk_is_counted_once(served: Served) -> None:
    card = await good_postcard(served)
    request, _ = enrolment.begin_activation(
        server_url=served.public,
        sdk_config=served.app["mobileSdkConfig"],
        temporary_key=None,
        name="Phone",
        platform="test",
        device_info="test",
        random=os.urandom,
        now_ms=0,
        version="3.1",
        kind="RECOVERY",
        identity={"recoveryCode": card["recoveryCode"], "puk": wrong(card["puks"][0]["puk"])},
    )
    codes = []
    for _ in range(3):
        answer = await served.phone_call(
            "POST",
            request.path,
            data=request.body,
            headers={**request.headers, "Content-Type": "application/json"},
        )
        codes.append(answer.body["responseObject"]["code"])
    assert codes == ["ERR_RECOVERY", "ERR_ENCRYPTION", "ERR_ENCRYPTION"]
    assert (await served.call("GET", f"{CODES}/{card['recoveryCodeId']}")).body["failedAttempts"] == 1


async def test_one_puk_at_once_makes_one_phone(served: Served) -> None:
    lost, written_down = await activate(served, commitPhase="ON_KEY_EXCHANGE")
    tries = (recover(served, written_down.recovery_code, written_down.puk) for _ in range(8))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(result) for result in results].count(Phone) == 1
    assert await status(served, lost) == "REMOVED"
    listed = await served.call("GET", f"{REGISTRATIONS}?userId=jan")
    assert len(listed.body["registrations"]) == 1


async def _is_blocked(served: Served, code_id: str) -> None:
    shown = (await served.call("GET", f"{CODES}/{code_id}")).body
    assert (shown["status"], shown["failedAttempts"]) == ("BLOCKED", 5)
    assert {one["status"] for one in shown["puks"]} == {"INVALID"}
    actions = await audited(served, code_id)
    assert actions.count("recovery_code.puk_failed") == 4
    assert actions.count("recovery_code.attempts_used_up") == 1


async def test_a_revoked_code_is_good_for_nothing(served: Served) -> None:
    card = await good_postcard(served)
    path = f"{CODES}/{card['recoveryCodeId']}"
    for _ in range(2):
        assert (await served.call("POST", f"{path}/revoke")).status == 200
    shown = (await served.call("GET", path)).body
    assert (shown["status"], {one["status"] for one in shown["puks"]}) == ("REVOKED", {"INVALID"})
    assert (await refusal_of(served, card["recoveryCode"], card["puks"][0]["puk"])).puk_index is None
    with pytest.raises(RecoveryRefused):
        await (await active_phone(served)).confirm_recovery_code(card["recoveryCode"], PIN)


async def test_codes_are_listed_masked_and_page_by_page(served: Served) -> None:
    cards = [await postcard(served) for _ in range(3)]
    first = (await served.call("GET", f"{CODES}?appId=bank&userId=jan&limit=2")).body
    second = (await served.call("GET", f"{CODES}?appId=bank&userId=jan&limit=2&cursor={first['nextCursor']}")).body
    listed = [*first["recoveryCodes"], *second["recoveryCodes"]]
    assert {one["recoveryCodeId"] for one in listed} == {one["recoveryCodeId"] for one in cards}
    assert second["nextCursor"] is None
    assert all(one["recoveryCodeMasked"].startswith("XXXXX-XXXXX-XXXXX-") for one in listed)
    shown = str(listed)
    for card in cards:
        assert card["recoveryCode"] not in shown
        assert not [puk for puk in card["puks"] if puk["puk"] in shown]


async def test_no_code_and_no_puk_is_stored_in_the_clear(served: Served) -> None:
    card = await good_postcard(served)
    await refusal_of(served, card["recoveryCode"], wrong(card["puks"][0]["puk"]))
    await recover(served, card["recoveryCode"], card["puks"][0]["puk"])

    async def read(tx: Tx) -> str:
        rows = [await tx.all(query) for query in (_secrets, _puk_secrets, _details)]
        return str(rows)

    stored = await served.installation.store.read(read)
    assert card["recoveryCode"] not in stored
    assert not [one for one in card["puks"] if one["puk"] in stored]


async def test_another_back_end_does_not_know_the_codes(served: Served) -> None:
    card = await postcard(served)
    _, shop = await served.new_tenant("shop")
    path = f"{CODES}/{card['recoveryCodeId']}"
    answers: list[Answer] = [
        await served.call("GET", path, auth=shop),
        await served.call("POST", f"{path}/revoke", auth=shop),
        await served.call("GET", f"{CODES}/none", auth=shop),
    ]
    assert [one.status for one in answers] == [404, 404, 404]
    assert answers[0].body == answers[1].body == answers[2].body
    assert (await served.call("GET", f"{CODES}?appId=bank&userId=jan", auth=shop)).status == 400
    assert (await served.call("POST", CODES, {"appId": "bank", "userId": "jan"}, auth=shop)).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"appId": "bank"},
        {"appId": "bank", "userId": ""},
        {"appId": "bank", "userId": "jan\0"},
        {"appId": "bank", "userId": "j" * 256},
        {"appId": "bank", "userId": "jan", "pukCount": 0},
        {"appId": "bank", "userId": "jan", "pukCount": 101},
        {"appId": "bank", "userId": "jan", "pukCount": "5"},
        {"appId": "none", "userId": "jan"},
    ],
)
async def test_bad_postcards_are_refused(served_with_recovery: Served, body: dict[str, Any]) -> None:
    assert (await served_with_recovery.call("POST", CODES, body)).status == 400


@pytest.mark.parametrize(
    ("code", "puk"),
    [
        ("AAAAA-AAAAA-AAAAA-AAAAA", "0123456789"),
        ("", ""),
        ("AAAAA-AAAAA-AAAAA-AAAAB", "0123456789"),
        ("x" * 300, "0123456789"),
        (None, "012345678"),
        (None, "01234567890"),
        (None, "012345678\0"),
        (None, "٠١٢٣٤٥٦٧٨٩"),
    ],
)
async def test_a_malformed_claim_is_refused_and_not_counted(
    served_with_recovery: Served, code: str | None, puk: str
) -> None:
    served = served_with_recovery
    card = await good_postcard(served)
    phone = new_phone(served)
    identity = {"recoveryCode": card["recoveryCode"] if code is None else code, "puk": puk}
    with pytest.raises(RefusedByServer) as refused:
        await phone.activate_by(
            served.public, served.app["mobileSdkConfig"], "RECOVERY", identity, name="Phone", pin="1234"
        )
    assert refused.value.http_status == 400
    shown = (await served.call("GET", f"{CODES}/{card['recoveryCodeId']}")).body
    assert shown["failedAttempts"] == 0


@pytest.mark.parametrize("cursor", ["?", "AA=A", "%00", "a" * 2001])
async def test_a_bad_cursor_is_refused(served_with_recovery: Served, cursor: str) -> None:
    answer = await served_with_recovery.call("GET", f"{CODES}?appId=bank&userId=jan&cursor={cursor}")
    assert answer.status == 400


@pytest.fixture
async def served_with_recovery(served_sqlite: Served) -> Served:
    """On SQLite alone, for what has nothing to do with the database."""
    await configure(served_sqlite, "recovery", {"enabled": True})
    return served_sqlite
