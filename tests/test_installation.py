"""The keys of an installation: made once, rotated by one at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringback.clock import ManualClock, SystemRandomness
from ringback.errors import StartRefused
from ringback.installation import open_vault, rotate_instance_key
from ringback.secrets import KeyFile
from ringback.store import Store

RANDOMNESS = SystemRandomness()


async def test_many_first_starts_at_once_agree_on_the_keys(store: Store, clock: ManualClock, tmp_path: Path) -> None:
    key_file = KeyFile(tmp_path / "instance.key")
    vaults = await asyncio.gather(*(open_vault(store, key_file, clock, RANDOMNESS) for _ in range(8)))
    sealed = vaults[0].seal(b"secret", "here")
    assert {vault.unseal(sealed, "here") for vault in vaults} == {b"secret"}
    assert len({vault.fingerprint(b"x", "y") for vault in vaults}) == 1


async def test_rotations_at_once_leave_a_key_file_that_fits(store: Store, clock: ManualClock, tmp_path: Path) -> None:
    key_file = KeyFile(tmp_path / "instance.key")
    sealed = (await open_vault(store, key_file, clock, RANDOMNESS)).seal(b"secret", "here")
    outcomes = await asyncio.gather(
        *(rotate_instance_key(store, key_file, clock, RANDOMNESS) for _ in range(5)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(refused) < 5
    assert all(isinstance(error, StartRefused) and "somebody else" in error.message for error in refused)
    assert len(key_file.load()) == 1
    assert (await open_vault(store, key_file, clock, RANDOMNESS)).unseal(sealed, "here") == b"secret"


async def test_an_unwritable_key_file_is_one_sentence(store: Store, clock: ManualClock, tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=r"cannot be written"):
        await open_vault(store, KeyFile(tmp_path / "nowhere" / "instance.key"), clock, RANDOMNESS)
