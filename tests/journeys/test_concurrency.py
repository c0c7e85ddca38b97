"""Fifty at once: whatever may happen once happens once, in one process on SQLite and in several on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ringback.softphone import PhoneState
from tests.journeys.phones import EVERY_VERSION, Bank, Reply, approval, finish, sign, thief
from tests.journeys.processes import kill_all
from tests.peers.server import Furnished, ServerProcess

MANY = 50
STRICT = {"activation_validity_seconds": "3600", "activation_attempts_per_minute": "1000"}
PATIENT = {**STRICT, "signature_look_ahead": "64", "max_failed_attempts": "64"}
"""All of the fifty may be tried: none is too far ahead, and those that come too late do not block the phone."""


def _served(
    request: pytest.FixtureRequest, folder: Path, settings: dict[str, str]
) -> Iterator[tuple[ServerProcess, Furnished]]:
    url, data = "", folder / "data"
    data.mkdir(mode=0o700)
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("upgraded_sqlite")
        (data / "ringback.db").write_bytes(template.read_bytes())
    else:
        cluster = request.getfixturevalue("cluster")
        url = cluster.url(cluster.new_database(request.getfixturevalue("upgraded_postgres")))
        settings = {**settings, "workers": "2"}
    server = ServerProcess(data, url, settings)
    server.start()
    try:
        yield server, server.furnish()
    finally:
        kill_all(server)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def strict_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, Furnished]]:
    """Settings as they are built in."""
    yield from _served(request, tmp_path_factory.mktemp("strict"), STRICT)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def patient_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, Furnished]]:
    """A wide look-ahead, and many attempts."""
    yield from _served(request, tmp_path_factory.mktemp("patient"), PATIENT)


@pytest.fixture
async def bank(strict_server: tuple[ServerProcess, Furnished]) -> AsyncIterator[Bank]:
    async with Bank.of(*strict_server) as bank:
        yield bank


@pytest.fixture
async def patient_bank(patient_server: tuple[ServerProcess, Furnished]) -> AsyncIterator[Bank]:
    async with Bank.of(*patient_server) as bank:
        yield bank


def signatures(phone: PhoneState, count: int) -> tuple[PhoneState, list[str]]:
    headers = []
    for _ in range(count):
        phone, header = sign(phone)
        headers.append(header)
    return phone, headers


async def verify_all(bank: Bank, headers: list[str]) -> list[bool]:
    """Whether each is valid, asked for at the same time."""
    answers = await asyncio.gather(*(bank.verify(header) for header in headers))
    assert {answer.status for answer in answers} == {200}
    return [answer.body["signatureValid"] for answer in answers]


async def is_valid(bank: Bank, header: str) -> bool:
    return (await verify_all(bank, [header]))[0]


@EVERY_VERSION
async def test_a_counter_value_is_accepted_at_most_once(patient_bank: Bank, version: str) -> None:
    phone = await patient_bank.enrol(f"counter {version}", version)
    phone, headers = signatures(phone, MANY // 2)
    answers = await verify_all(patient_bank, headers * 2)
    accepted = Counter(header for header, valid in zip(headers * 2, answers, strict=True) if valid)
    assert accepted
    assert set(accepted.values()) == {1}


async def test_signatures_at_once_and_their_replays(patient_bank: Bank) -> None:
    phone = await patient_bank.enrol("replay")
    phone, headers = signatures(phone, MANY)
    assert any(await verify_all(patient_bank, headers))

    phone, header = sign(phone)
    assert await is_valid(patient_bank, header)
    assert not any(await verify_all(patient_bank, headers))
    status = await patient_bank.status(phone)
    assert (status.status, status.counters, status.failed_attempts) == ("ACTIVE", "in step", MANY)
    assert await is_valid(patient_bank, sign(phone)[1])


@EVERY_VERSION
async def test_copies_of_one_signature(patient_bank: Bank, version: str) -> None:
    phone = await patient_bank.enrol(f"copies {version}", version)
    phone, header = sign(phone)
    assert Counter(await verify_all(patient_bank, [header] * MANY)) == {True: 1, False: MANY - 1}
    status = await patient_bank.status(phone)
    assert (status.status, status.counters, status.failed_attempts) == ("ACTIVE", "in step", MANY - 1)


@EVERY_VERSION
async def test_wrong_signatures_block_after_exactly_five(bank: Bank, version: str) -> None:
    phone = await bank.enrol(f"wrong {version}", version)
    blocked = asyncio.Event()

    async def wrong() -> Reply:
        answer = await bank.verify(sign(thief(phone))[1])
        if answer.body["registrationStatus"] == "BLOCKED":
            blocked.set()
        return answer

    async def right_after_the_block() -> bool:
        await blocked.wait()
        return await is_valid(bank, sign(phone)[1])

    wrongs = [asyncio.create_task(wrong()) for _ in range(MANY)]
    rights = [asyncio.create_task(right_after_the_block()) for _ in range(10)]
    answers = [(await answer).body for answer in wrongs]
    assert not any(await asyncio.gather(*rights))

    assert not any(answer["signatureValid"] for answer in answers)
    counted = [answer["remainingAttempts"] for answer in answers if answer["registrationStatus"] == "ACTIVE"]
    assert sorted(counted) == [1, 2, 3, 4]
    rest = [answer for answer in answers if answer["registrationStatus"] == "BLOCKED"]
    assert len(rest) == MANY - 4
    assert {(answer["remainingAttempts"], answer["blockedReason"]) for answer in rest} == {(0, "MAX_FAILED_ATTEMPTS")}
    status = await bank.status(phone)
    assert (status.status, status.failed_attempts, status.counters) == ("BLOCKED", 5, "in step")
    seen = (await bank.registration(phone.activation_id)).body
    assert (seen["registrationStatus"], seen["blockedReason"]) == ("BLOCKED", "MAX_FAILED_ATTEMPTS")


def codes(answers: list[Reply]) -> Counter[tuple[int, str]]:
    """How many of each status and code; OK without a code."""
    return Counter((one.status, (one.body.get("responseObject") or {}).get("code", "OK")) for one in answers)


async def test_many_phones_approve_one_operation(bank: Bank) -> None:
    phones = await bank.enrol_all(["family"] * MANY)
    operation = await bank.ask("family")
    answers = await asyncio.gather(*(bank.send(approval(phone, operation)[1]) for phone in phones))
    assert codes(answers) == {(200, "OK"): 1, (400, "OPERATION_ALREADY_FINISHED"): MANY - 1}
    (winner,) = (phone for phone, answer in zip(phones, answers, strict=True) if answer.status == 200)
    approved = await bank.operation(operation["operationId"])
    assert (approved["status"], approved["failureCount"]) == ("APPROVED", 0)
    assert approved["additionalData"]["activationId"] == winner.activation_id


async def test_one_phone_approves_many_times(patient_bank: Bank) -> None:
    phone = await patient_bank.enrol("hasty")
    operation = await patient_bank.ask("hasty")
    requests = []
    for _ in range(MANY):
        phone, request = approval(phone, operation)
        requests.append(request)
    answers = codes(await asyncio.gather(*(patient_bank.send(request) for request in requests)))
    assert answers.pop((200, "OK")) == 1
    # The rest: too late for the operation, or behind a counter that moved on.
    assert set(answers) <= {(400, "OPERATION_ALREADY_FINISHED"), (401, "POWERAUTH_AUTH_FAIL")}
    approved = await patient_bank.operation(operation["operationId"])
    assert (approved["status"], approved["failureCount"]) == ("APPROVED", 0)


async def test_failed_approvals_count_up_to_the_last_that_is_allowed(bank: Bank) -> None:
    phones = await bank.enrol_all(["robbed"] * MANY)
    operation = await bank.ask("robbed")
    allowed = operation["maxFailureCount"]
    few = await asyncio.gather(*(bank.send(approval(thief(one), operation)[1]) for one in phones[: allowed - 1]))
    assert codes(few) == {(401, "POWERAUTH_AUTH_FAIL"): allowed - 1}
    counted = await bank.operation(operation["operationId"])
    assert (counted["status"], counted["failureCount"]) == ("PENDING", allowed - 1)

    answers = await asyncio.gather(*(bank.send(approval(thief(one), operation)[1]) for one in phones))
    assert codes(answers) == {(401, "POWERAUTH_AUTH_FAIL"): MANY}
    failed = await bank.operation(operation["operationId"])
    assert (failed["status"], failed["failureCount"]) == ("FAILED", allowed)
    late = await bank.send(approval(phones[-1], operation)[1])
    assert codes([late]) == {(400, "OPERATION_ALREADY_FAILED"): 1}


async def test_right_and_wrong_approvals_race(bank: Bank) -> None:
    phones = await bank.enrol_all(["raced"] * MANY)
    for _ in range(3):
        operation = await bank.ask("raced")
        # Ten wrong among forty right: either may come first.
        attempts = [thief(phone) if number % 5 < 1 else phone for number, phone in enumerate(phones)]
        answers = await asyncio.gather(*(bank.send(approval(one, operation)[1]) for one in attempts))
        wins = codes(answers)[200, "OK"]
        ended = await bank.operation(operation["operationId"])
        if ended["status"] == "APPROVED":
            assert wins == 1
            assert ended["failureCount"] < ended["maxFailureCount"]
        else:
            assert (ended["status"], ended["failureCount"], wins) == ("FAILED", ended["maxFailureCount"], 0)
        phones = [approval(phone, operation)[0] for phone in phones]


@EVERY_VERSION
async def test_one_activation_code_makes_one_phone(bank: Bank, version: str) -> None:
    registration = await bank.register(f"crowd {version}")
    exchanges = await bank.exchange_keys(registration.code, MANY, version)
    answers = await asyncio.gather(*(bank.send(request) for request, _ in exchanges))
    assert codes(answers) == {(200, "OK"): 1, (400, "ERR_ACTIVATION"): MANY - 1}
    assert (await bank.commit(registration.id)).status == 200
    (phone,) = (
        finish(pending, answer) for (_, pending), answer in zip(exchanges, answers, strict=True) if answer.status == 200
    )
    assert phone.activation_id == registration.id
    assert await is_valid(bank, sign(phone)[1])


async def test_one_commit_of_many_succeeds(bank: Bank) -> None:
    registration = await bank.register("committed")
    ((request, pending),) = await bank.exchange_keys(registration.code)
    phone = finish(pending, await bank.send(request))
    answers = await asyncio.gather(*(bank.commit(registration.id) for _ in range(MANY)))
    (status, code), _ = codes(answers).most_common()[0]
    assert codes(answers) == {(200, "OK"): 1, (status, code): MANY - 1}
    assert (status, code) == (400, "ERROR_REGISTRATION_CHANGE")
    assert await is_valid(bank, sign(phone)[1])
