"""A busy day at the bank: everything at once until the server is gone, and a ledger of what it acknowledged.

What was under way when the server went may have happened or not; what it answered must have.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from ringback.softphone import Phone, PhoneState
from tests.journeys.phones import Bank, approval, sign, thief

GONE = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
WRONG_PHONES = 40


@dataclass
class Signer:
    """A phone that signs: as it is now, as it was after the last acknowledged signature, and that signature."""

    phone: PhoneState
    acknowledged: PhoneState
    last_header: str = ""


@dataclass
class Suspect:
    """A phone that a thief signs for."""

    phone: PhoneState
    sent: int = 0
    acknowledged: int = 0


@dataclass
class Ledger:
    """What the server acknowledged."""

    registrations: list[str] = field(default_factory=list)
    signers: list[Signer] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    approved: list[str] = field(default_factory=list)
    refused: int = 0


@dataclass
class Staff:
    """The phones of the day, enrolled before it."""

    signers: list[PhoneState]
    suspects: list[PhoneState]
    approvers: list[PhoneState]
    listener: Phone

    @staticmethod
    async def enrol(bank: Bank) -> Staff:
        """`listener` is the phone of the user `asked`, and gets pushes."""
        signers = await bank.enrol_all(f"signer-{n}" for n in range(4))
        suspects = await bank.enrol_all(f"suspect-{n}" for n in range(WRONG_PHONES))
        approvers = await bank.enrol_all(f"approver-{n}" for n in range(3))
        listener = bank.phone(await bank.enrol("asked"))
        await listener.register_push()
        return Staff(signers, suspects, approvers, listener)


async def work(bank: Bank, staff: Staff, seconds: float, end: Callable[[], Awaitable[None]]) -> Ledger:
    """Works for some seconds, calls `end`, and goes on until nobody answers any more."""
    ledger = Ledger()
    ledger.signers = [Signer(phone, phone) for phone in staff.signers]
    ledger.suspects = [Suspect(phone) for phone in staff.suspects]
    waiting = iter(ledger.suspects)
    stopped = asyncio.Event()
    lanes = [
        *(_registering(bank, ledger) for _ in range(4)),
        *(_signing(bank, signer) for signer in ledger.signers),
        *(_stealing(bank, waiting) for _ in range(3)),
        *(_asking(bank, ledger) for _ in range(3)),
        *(_approving(bank, phone, number, ledger) for number, phone in enumerate(staff.approvers)),
    ]
    tasks = [asyncio.create_task(_until_gone(lane, stopped)) for lane in lanes]
    await asyncio.sleep(seconds)
    await end()
    stopped.set()
    await asyncio.gather(*tasks)
    return ledger


Lane = Callable[[], Awaitable[bool]]


async def _until_gone(step: Lane, stopped: asyncio.Event) -> None:
    with contextlib.suppress(*GONE):
        while not stopped.is_set() and await step():
            pass


def _registering(bank: Bank, ledger: Ledger) -> Lane:
    async def step() -> bool:
        ledger.registrations.append((await bank.register("new")).id)
        return True

    return step


def _signing(bank: Bank, signer: Signer) -> Lane:
    async def step() -> bool:
        signer.phone, header = sign(signer.phone)
        sent = signer.phone
        answer = await bank.verify(header)
        assert answer.status == 200, answer
        assert answer.body["signatureValid"], answer
        signer.acknowledged, signer.last_header = sent, header
        return True

    return step


def _stealing(bank: Bank, waiting: Any) -> Lane:
    async def step() -> bool:
        suspect: Suspect | None = next(waiting, None)
        if suspect is None:
            return False
        for _ in range(5):
            suspect.sent += 1
            answer = await bank.verify(sign(thief(suspect.phone))[1])
            assert answer.status == 200, answer
            assert not answer.body["signatureValid"]
            suspect.acknowledged += 1
            await asyncio.sleep(0.02)  # some of the phones are to be half way when the server goes
        return True

    return step


def _asking(bank: Bank, ledger: Ledger) -> Lane:
    async def step() -> bool:
        ledger.asked.append((await bank.ask("asked"))["operationId"])
        await asyncio.sleep(0.01)
        return True

    return step


def _approving(bank: Bank, phone: PhoneState, number: int, ledger: Ledger) -> Lane:
    state = phone

    async def step() -> bool:
        nonlocal state
        operation = await bank.ask(f"approver-{number}")
        state, request = approval(state, operation)
        answer = await bank.send(request)
        assert answer.status == 200, answer
        ledger.approved.append(operation["operationId"])
        return True

    return step


async def audit(bank: Bank, ledger: Ledger, listener: Phone) -> None:
    """Everything in the ledger is there, and nothing went back."""
    for part in (ledger.registrations, ledger.asked, ledger.approved):
        assert part
    await _all(ledger.registrations, lambda one: _is_registered(bank, one))
    await _all(ledger.signers, lambda one: _goes_on(bank, one))
    await _all(ledger.suspects, lambda one: _is_counted(bank, one))
    await _all(ledger.asked, lambda one: _has_status(bank, one, "PENDING"))
    await _all(ledger.approved, lambda one: _has_status(bank, one, "APPROVED"))
    missing = set(ledger.asked)
    async with asyncio.timeout(60):
        async with listener.open_push_stream() as stream:
            async for push in stream:
                missing.discard(push.content.get("extras", push.content).get("operationId", ""))
                if not missing:
                    break


async def _all(things: list[Any], check: Callable[[Any], Awaitable[None]]) -> None:
    gate = asyncio.Semaphore(32)

    async def one(thing: Any) -> None:
        async with gate:
            await check(thing)

    await asyncio.gather(*(one(thing) for thing in things))


async def _is_registered(bank: Bank, registration_id: str) -> None:
    found = await bank.registration(registration_id)
    assert found.status == 200, found
    assert (found.body["registrationStatus"], found.body["userId"]) == ("CREATED", "new")


async def _goes_on(bank: Bank, signer: Signer) -> None:
    assert signer.last_header
    status = await bank.status(signer.acknowledged)
    # The one signature that was under way may have counted; a counter that went back would be "phone ahead".
    assert status.counters in {"in step", "caught up"}, status
    assert status.counter_gap <= signer.phone.counter - signer.acknowledged.counter <= 1
    replayed = await bank.verify(signer.last_header)
    assert replayed.body["signatureValid"] is False
    signer.phone, header = sign(signer.phone)
    assert (await bank.verify(header)).body["signatureValid"] is True


async def _is_counted(bank: Bank, suspect: Suspect) -> None:
    status = await bank.status(suspect.phone)
    assert suspect.acknowledged <= status.failed_attempts <= suspect.sent
    assert (status.status == "BLOCKED") == (status.failed_attempts == 5)


async def _has_status(bank: Bank, operation_id: str, status: str) -> None:
    assert (await bank.operation(operation_id))["status"] == status
