"""The audit log as back ends and administrators see it, and that its cost does not grow with the log."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ringback.audit import AuditLog, AuditReader
from ringback.audit.model import AFTER_EVERY_ID, SIGNATURE_NOTES
from ringback.audit.reading import Period, Selection
from ringback.clock import ManualClock, SystemRandomness, first_id_at, new_id, time_of_id
from ringback.devices import signatures
from ringback.errors import AppNotFound, InvalidRequest
from ringback.principal import Principal, device
from ringback.store import Store, Tx
from tests.plans import Plans

ADMIN = Principal("system_user", "root", "admin")
BANK = Principal("system_user", "bank-back-end", "integration")
BOTH = Principal("system_user", "holding", "integration")
NOBODY = Principal("system_user", "newcomer", "integration")
EVER = Period(0, 2**53 - 1)


class Access:
    """Who may see which apps, in a dictionary."""

    apps: ClassVar = {BANK.name: frozenset({"bank"}), BOTH.name: frozenset({"bank", "shop"})}

    async def apps_of(self, _: Tx, principal: Principal) -> frozenset[str]:
        return self.apps.get(principal.name, frozenset())

    async def reach_of(self, _: Tx, principal: Principal) -> frozenset[str] | None:
        return None if principal == ADMIN else self.apps.get(principal.name, frozenset())


@dataclass
class Log:
    """An audit log and who reads it."""

    store: Store
    clock: ManualClock
    audit: AuditLog
    reader: AuditReader

    async def write(self, action: str, app_id: str | None = "bank", user_id: str | None = "alice", **more: Any) -> int:
        """One entry in a millisecond of its own; returns its time."""
        self.clock.advance(0.001)
        fields = {"subject_kind": "registration", "subject_id": "r1", **more}

        async def unit(tx: Tx) -> None:
            await self.audit.record(tx, device("r1"), action, app_id=app_id, user_id=user_id, **fields)

        await self.store.write(unit)
        return self.clock.now_ms()

    async def checks(self, principal: Principal = BANK, period: Period = EVER, *page: int) -> list[int]:
        skipped, limit = page or (0, 100)
        found = await self.store.read(self.reader.signature_checks, principal, "alice", period, skipped, limit)
        return [entry.at for entry in found]

    async def entries(self, principal: Principal, limit: int = 100, **selected: Any) -> list[str]:
        found = await self.store.read(self.reader.entries, principal, Selection(**selected), limit)
        return [entry.action for entry in found]


@pytest.fixture
def log(store: Store, clock: ManualClock) -> Log:
    audit = AuditLog(clock=clock, randomness=SystemRandomness())
    return Log(store, clock, audit, AuditReader(access=Access()))


def test_the_notes_are_those_of_the_devices_room() -> None:
    notes = {signatures.OK, signatures.DOES_NOT_MATCH, signatures.INVALID_STATE, signatures.INVALID_APPLICATION}
    assert notes == set(SIGNATURE_NOTES)


def test_a_time_divides_the_ids(clock: ManualClock) -> None:
    made = new_id(clock, SystemRandomness())
    now = clock.now_ms()
    assert time_of_id(made) == now
    assert first_id_at(now - 1) < first_id_at(now) < made < first_id_at(now + 1) < AFTER_EVERY_ID
    assert first_id_at(-1) == first_id_at(0) == "00000000-0000"
    assert first_id_at(2**53) == "ffffffff-ffff"


async def test_only_signature_checks_newest_first(log: Log) -> None:
    times = [await log.write(note) for note in SIGNATURE_NOTES]
    for other in ("registration.block", "operation.approve", "mac_token.create"):
        await log.write(other)
    await log.write("signature_ok", user_id="bob")
    assert await log.checks() == times[::-1]
    assert await log.checks(BANK, EVER, 1, 2) == [times[2], times[1]]
    assert await log.checks(BANK, EVER, 4, 2) == []


async def test_a_period_has_both_its_ends_to_the_millisecond(log: Log) -> None:
    first, second, third = [await log.write("signature_ok") for _ in range(3)]
    assert await log.checks(BANK, Period(first, second)) == [second, first]
    assert await log.checks(BANK, Period(second, second)) == [second]
    assert await log.checks(BANK, Period(first + 1, third - 1)) == [second]
    assert await log.checks(BANK, Period(0, first - 1)) == []


async def test_checks_of_several_apps_are_merged_and_those_of_others_left_out(log: Log) -> None:
    times = {app: [] for app in ("bank", "shop", "garage")}
    for app in ("bank", "shop", "garage", "bank", "shop", "shop"):
        times[app].append(await log.write("signature_ok", app))
    both = sorted(times["bank"] + times["shop"], reverse=True)
    assert await log.checks(BOTH) == both
    assert [await log.checks(BOTH, EVER, skipped, 2) for skipped in (0, 2, 4)] == [both[:2], both[2:4], both[4:]]
    assert await log.checks(BANK) == times["bank"][::-1]
    assert await log.checks(NOBODY) == []


async def test_entries_by_subject_and_by_user(log: Log) -> None:
    await log.write("one")
    await log.write("two", "shop")
    await log.write("three", None)
    await log.write("four", subject_id="r2")
    await log.write("five", "garage", "bob")
    assert await log.entries(ADMIN, user_id="alice") == ["four", "three", "two", "one"]
    assert await log.entries(ADMIN, user_id="alice", app_id="shop") == ["two"]
    assert await log.entries(ADMIN, subject_id="r1") == ["five", "three", "two", "one"]
    assert await log.entries(ADMIN) == ["five", "four", "three", "two", "one"]
    assert await log.entries(BOTH, user_id="alice") == ["four", "two", "one"]
    assert await log.entries(BOTH, subject_id="r1") == ["two", "one"]
    assert await log.entries(BANK, subject_id="r1") == ["one"]
    assert await log.entries(NOBODY, user_id="alice") == await log.entries(NOBODY, subject_id="r1") == []
    for app_id in ("shop", "none"):
        with pytest.raises(AppNotFound):
            await log.entries(BANK, user_id="alice", app_id=app_id)
    with pytest.raises(InvalidRequest):
        await log.entries(BANK)


@pytest.mark.parametrize("selected", [{"user_id": "alice"}, {"subject_id": "r1"}, {}])
async def test_pages_go_on_from_an_entry(log: Log, selected: dict[str, str]) -> None:
    for number in range(7):
        await log.write(f"a{number}", ("bank", "shop", None)[number % 3])
    pages, before = [], ""
    while True:
        selection = Selection(**selected, before=before)
        found = await log.store.read(log.reader.entries, ADMIN, selection, 3)
        if not found:
            break
        pages += [entry.action for entry in found]
        before = found[-1].id
    assert pages == [f"a{number}" for number in reversed(range(7))]


async def load(plans: Plans, many: int, first: int, user: str, action: str, app: str) -> None:
    """`many` entries; `user`, `action` and `app` are SQL over the number `i`."""
    columns = "id, at, principal_kind, principal_name, action, subject_kind, subject_id, app_id, user_id, details"
    values = f"i, 'device', 'r1', {action}, 'registration', 'r' || (i % 5000), {app}, {user}, '{{}}'"
    await plans.load(
        f"WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {first + many - 1})"
        f" INSERT INTO audit_log ({columns}) SELECT printf('01900000-%04d-7%08d', i / 10000, i), {values} FROM n",
        f"INSERT INTO audit_log ({columns})"
        " SELECT '01900000-' || lpad((i / 10000)::text, 4, '0') || '-7' || lpad(i::text, 8, '0'),"
        f" {values} FROM generate_series({first}, {first + many - 1}) AS n (i)",
    )


async def test_every_page_costs_the_same_in_a_log_of_200_000(log: Log, database_url: str, tmp_path: Path) -> None:
    plans = Plans(log.store, database_url, tmp_path / "ringback.db")
    note, other = "'signature_ok'", "'operation.create'"
    for app in ("'bank'", "'shop'", "'garage'", "NULL"):
        await load(plans, 400, {"'bank'": 1, "'shop'": 500, "'garage'": 1000, "NULL": 1500}[app], "'alice'", note, app)
    await load(plans, 20_000, 10_000, "'u' || (i % 50)", other, "'bank'")
    reader = log.reader
    asked = {
        "checks": (reader.signature_checks, BANK, "alice", EVER, 0, 100),
        "second page of checks": (reader.signature_checks, BANK, "alice", EVER, 100, 100),
        "checks of two apps": (reader.signature_checks, BOTH, "alice", EVER, 0, 100),
        "entries of a user": (reader.entries, ADMIN, Selection(user_id="alice"), 50),
        "entries of a user in apps": (reader.entries, BOTH, Selection(user_id="alice"), 50),
        "entries of a thing": (reader.entries, ADMIN, Selection(subject_id="r77"), 4),
        "entries of a thing in apps": (reader.entries, BANK, Selection(subject_id="r10077"), 4),
        "all": (reader.entries, ADMIN, Selection(), 50),
    }
    before = {name: (await plans.read(*one))[1].amount for name, one in asked.items()}
    await load(plans, 60_000, 100_000, "'alice'", note, "'bank'")
    await load(plans, 120_000, 200_000, "'v' || (i % 1000)", other, "'shop'")
    for name, one in asked.items():
        found, work = await plans.read(*one)
        assert found or name == "entries of a thing in apps", name
        assert work.scans == (), name
        assert work.sorts == (), name
        assert work.amount <= before[name] * 1.2 + 50, (name, work, before[name])


def test_bodies_of_other_kinds_than_text_can_be_shown() -> None:
    assert base64.b64decode("/w==").decode(errors="replace") == "\N{REPLACEMENT CHARACTER}"
