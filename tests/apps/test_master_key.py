"""The cache of master keys believes no app that was never committed."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ringback.apps import AppsService
from ringback.audit import AuditLog
from ringback.clock import ManualClock, SystemRandomness
from ringback.principal import Principal
from ringback.protocols.powerauth.keys import public_key_to_bytes
from ringback.secrets import Vault
from ringback.store import Store, Tx

WHO = Principal("cli", "test")


class Broken(Exception):
    """Ends a unit."""


async def test_the_key_of_an_app_that_was_undone_is_forgotten(store: Store, clock: ManualClock) -> None:
    source: dict[str, Any] = {"clock": clock, "randomness": SystemRandomness()}
    vault = Vault(os.urandom(32), os.urandom(32), SystemRandomness())
    apps = AppsService(vault=vault, audit=AuditLog(**source), **source)

    async def undone(tx: Tx) -> None:
        await apps.create(tx, WHO, "bank", [])
        await apps.master_private_key(tx, "bank")
        raise Broken

    with pytest.raises(Broken):
        await store.write(undone)
    created = await store.write(apps.create, WHO, "bank", [])
    clock.advance(2)
    key = await store.read(apps.master_private_key, "bank")
    assert public_key_to_bytes(key.public_key()) == created.master_public_key
