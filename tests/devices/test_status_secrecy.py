"""Whoever has no keys learns nothing from activation/status: the same answers after the same work, on counts of it."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ringback.clock import ManualClock
from ringback.devices import keys as device_keys
from ringback.devices.schema import ChangeRegistration, StatusObject
from ringback.protocols.powerauth import derived_keys, status_blob
from ringback.secrets import Vault
from ringback.store import Query, Store, Tx
from tests.devices.conftest import BANK, Room, furnish, make_room

CHALLENGE = b"c" * 16
KINDS = ("unknown", "CREATED", "removed before the key exchange", "PENDING_COMMIT", "ACTIVE", "BLOCKED", "REMOVED")
"""The first three have no keys."""


class Counts:
    """Calls at the boundary of the protocols, of the vault and of the database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        for module, name in (
            (derived_keys, "kdf"),
            (status_blob, "kdf_internal"),
            (status_blob, "aes_cbc_encrypt_raw"),
            (device_keys, "derive_activation_keys"),
        ):
            monkeypatch.setattr(module, name, self.counting(name, getattr(module, name)))
        monkeypatch.setattr(Vault, "unseal", self.counting("unseal", Vault.unseal))

    def counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return function(*args, **options)

        return counted


class CountingTx:
    """A unit's view of the database that counts what it asks."""

    def __init__(self, tx: Tx, counts: Counts) -> None:
        self._tx = tx
        self._counts = counts

    async def one(self, query: Query[Any], *args: Any) -> Any:
        self._counts.calls[f"query {query.name}"] += 1
        return await self._tx.one(query, *args)

    def __getattr__(self, name: str) -> Any:
        self._counts.calls[f"database {name}"] += 1
        return getattr(self._tx, name)


def status_request(registration_id: str, challenge: bytes | None = CHALLENGE) -> StatusObject:
    """Without a challenge, as phones of 3.0 ask."""
    return StatusObject(registration_id, None if challenge is None else base64.b64encode(challenge).decode())


async def ask(room: Room, registration_id: str, challenge: bytes | None = CHALLENGE) -> bytes:
    """The blob that a stranger gets."""
    answer = await room.store.read(room.devices.activation_status, status_request(registration_id, challenge))
    assert (answer.activation_id, answer.custom_object) == (registration_id, {})
    if challenge is None:
        assert answer.nonce is msgspec.UNSET
    else:
        assert len(base64.b64decode(answer.nonce)) == 16
    blob = base64.b64decode(answer.encrypted_status_blob)
    assert len(blob) == 32
    return blob


async def change(room: Room, registration_id: str, what: Any) -> None:
    await room.store.write(room.devices.change_registration, BANK, registration_id, ChangeRegistration(change=what))


@pytest.fixture
async def ids(room: Room) -> dict[str, str]:
    """A registration of every kind."""
    removed = (await room.create("r")).registration_id
    await change(room, removed, "REMOVE")
    pending = await room.create("p")
    await room.activate(room.phone(), pending.activation_code)
    found = {
        "unknown": "a4452997-45c0-4667-bb24-c7d39337b9c0",
        "CREATED": (await room.create("c")).registration_id,
        "removed before the key exchange": removed,
        "PENDING_COMMIT": pending.registration_id,
        "ACTIVE": (await room.active_phone("a")).id,
        "BLOCKED": (await room.active_phone("b")).id,
        "REMOVED": (await room.active_phone("g")).id,
    }
    await change(room, found["BLOCKED"], "BLOCK")
    await change(room, found["REMOVED"], "REMOVE")
    return found


def forget_keys(room: Room) -> None:
    """As after a restart."""
    keys = room.devices._status._keys
    keys._derived.clear()
    keys._stand_ins.clear()


async def work(room: Room, registration_id: str, counts: Counts, challenge: bytes | None = CHALLENGE) -> Counter[str]:
    async def unit(tx: Tx) -> None:
        await room.devices.activation_status(CountingTx(tx, counts), status_request(registration_id, challenge))

    counts.calls.clear()
    await room.store.read(unit)
    return Counter(counts.calls)


async def test_every_kind_costs_the_same_work(room: Room, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    forget_keys(room)
    counts = Counts(monkeypatch)
    first = {kind: await work(room, ids[kind], counts) for kind in KINDS}
    later = {kind: await work(room, ids[kind], counts) for kind in KINDS}
    assert first["ACTIVE"] == {
        "query registration_by_id": 1,
        "unseal": 1,
        "derive_activation_keys": 1,
        "kdf": 7,
        "kdf_internal": 2,
        "aes_cbc_encrypt_raw": 1,
    }
    assert later["ACTIVE"] == {"query registration_by_id": 1, "kdf": 2, "kdf_internal": 2, "aes_cbc_encrypt_raw": 1}
    for kind in KINDS:
        assert (first[kind], later[kind]) == (first["ACTIVE"], later["ACTIVE"]), kind
    without = {kind: await work(room, ids[kind], counts, challenge=None) for kind in KINDS}
    for kind in KINDS:
        assert without[kind] == without["ACTIVE"], kind


async def test_one_whose_time_is_over_is_told_so_after_the_same_work(
    room: Room, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    created, pending, phone = await room.create("c"), await room.create("p"), room.phone()
    await room.activate(phone, pending.activation_code)
    for id_ in (created.registration_id, pending.registration_id, "unknown"):
        await ask(room, id_)
    clock.advance(121)
    counts = Counts(monkeypatch)
    done = [await work(room, id_, counts) for id_ in (created.registration_id, pending.registration_id, "unknown")]
    assert done[0] == done[1] == done[2]
    assert await room.status(pending.registration_id) == "PENDING_COMMIT"  # looking writes nothing


@pytest.mark.parametrize("challenge", [CHALLENGE, None])
async def test_the_bytes_of_every_kind_look_random(room: Room, ids: dict[str, str], challenge: bytes | None) -> None:
    """Each byte value about as often as any other, each bit about half of the time, and no blob or block twice."""
    times = 400
    for kind in KINDS:
        blobs = [await ask(room, ids[kind], challenge) for _ in range(times)]
        blocks = {blob[:16] for blob in blobs} | {blob[16:] for blob in blobs}
        assert len(blocks) == 2 * times, kind
        values = Counter(byte for blob in blobs for byte in blob)
        expected = times * 32 / 256
        chi_square = sum((values[value] - expected) ** 2 / expected for value in range(256))
        assert 140 < chi_square < 400, kind  # 255 degrees of freedom: beyond 5 standard deviations either way
        for bit in range(256):
            ones = sum(int.from_bytes(blob, "big") >> bit & 1 for blob in blobs)
            assert times * 0.5 - 60 < ones < times * 0.5 + 60, (kind, bit)


async def test_a_phone_of_3_0_sends_no_challenge_and_reads_its_status(room: Room) -> None:
    """It knows no nonce and no counter in the blob: those bytes are different each time."""
    phone = await room.active_phone(version="3.0")
    blobs = [
        status_blob.parse_status_blob(phone.known_keys.transport, None, None, await ask(room, phone.id, challenge=None))
        for _ in range(2)
    ]
    for blob in blobs:
        assert (blob.status, blob.current_version, blob.upgrade_version) == (3, 3, 3)
        assert (blob.failed_attempts, blob.max_failed_attempts) == (0, 5)
        assert blob.counter_hash != status_blob.counter_hash(phone.known_keys.transport, phone.counter)
    assert blobs[0].counter_hash != blobs[1].counter_hash


async def test_made_up_ids_push_out_no_phones_keys(store: Store, clock: ManualClock) -> None:
    room = await furnish(make_room(store, clock))
    keys = room.devices._status._keys
    keys._entries = 3
    phone = await room.active_phone()
    await ask(room, phone.id)
    assert phone.id in keys._derived
    for number in range(10):
        await ask(room, f"made-up-{number}")
    assert phone.id in keys._derived
    assert len(keys._stand_ins) == 3
