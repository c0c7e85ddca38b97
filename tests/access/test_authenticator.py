"""What a password costs: as much for a name that exists as for one that does not."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest

from ringback.access import AccessService, BasicAuthenticator
from ringback.apps import AppsService
from ringback.audit import AuditLog
from ringback.clock import ManualClock, SystemRandomness
from ringback.errors import NotAuthenticated
from ringback.principal import Principal
from ringback.secrets import Vault
from ringback.store import Store


class Counting:
    """The store, and how often it was asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0

    async def read(self, *args: Any) -> Any:
        self.reads += 1
        return await self._store.read(*args)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


async def test_only_a_right_password_saves_the_look_up(store: Store, clock: ManualClock) -> None:
    source: dict[str, Any] = {"clock": clock, "randomness": SystemRandomness()}
    vault, audit = Vault(os.urandom(32), os.urandom(32), SystemRandomness()), AuditLog(**source)
    apps = AppsService(vault=vault, audit=audit, **source)
    access = AccessService(vault=vault, apps=apps, audit=audit, **source)
    created = await store.write(access.create_user, Principal("cli", "test"), "bank", "integration")
    counting: Any = Counting(store)
    authenticator = BasicAuthenticator(store=counting, access=access, vault=vault, clock=clock)

    async def cost(name: str, password: str, *, right: bool) -> int:
        before = counting.reads
        if right:
            assert (await authenticator.authenticate(basic(name, password))).name == name
        else:
            with pytest.raises(NotAuthenticated):
                await authenticator.authenticate(basic(name, password))
        return int(counting.reads - before)

    for _ in range(2):
        assert await cost("bank", "wrong", right=False) == await cost("nobody", "wrong", right=False) == 1
    assert [await cost("bank", created.password, right=True) for _ in range(3)] == [0, 0, 0]
    assert await cost("bank", "wrong", right=False) == await cost("nobody", created.password, right=False) == 1
    clock.advance(2)
    assert await cost("bank", created.password, right=True) == 1
