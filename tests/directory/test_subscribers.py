"""Subscribers: whom a call means, what holds for it, and what is left when it is gone."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ringback.directory import Callee, NewSubscriber, SubscriberCredential, ha1_of
from ringback.principal import Principal
from ringback.store import Query, Tx
from tests.served import Served

BY = Principal("cli", "test")
_sealed = Query(
    "sealed", "Test.", "SELECT realm, ha1_md5_sealed, ha1_sha256_sealed FROM sip_credentials ORDER BY realm"
)


@pytest.fixture
async def jan(served: Served) -> Served:
    rooms, store = served.rooms.sip_directory, served.installation.store
    await store.write(rooms.domains.create, BY, "Example.ORG", ("bank",))
    ha1 = {"example.org": ha1_of("jan", "example.org", "correct horse")}
    await store.write(rooms.subscribers.create, BY, NewSubscriber("example.org", "jan", "user-1", ha1=ha1))
    return served


async def callee(served: Served, username: str = "jan", domain: str = "example.org") -> Callee | None:
    return await served.installation.store.read(served.rooms.sip_directory.subscribers.callee, username, domain)


async def credential(served: Served, *names: str) -> SubscriberCredential | None:
    return await served.installation.store.read(served.rooms.sip_directory.credentials.of, *names)


async def test_a_call_finds_its_callee_and_nobody_else(jan: Served) -> None:
    found = await callee(jan, domain="EXAMPLE.org")
    assert found is not None
    assert (found.address, found.user_id, found.app_ids, found.disabled) == (
        "jan@example.org",
        "user-1",
        ("bank",),
        False,
    )
    assert (found.mobile_push_enable, found.mobile_push_expiry, found.prompt, found.prompt_loop) == (
        "never", None, None, True,
    )  # fmt: skip
    assert set(found.decided_by.values()) == {"built in"}
    for names in (("Jan", "example.org"), ("jan", "example.com"), ("", ""), ("jan\0", "example.org"), ("jan", "\0")):
        assert await callee(jan, *names) is None


async def test_what_proves_a_subscriber_is_sealed_and_of_one_realm(jan: Served) -> None:
    found = await credential(jan, "jan", "example.org", "example.org")
    assert found is not None
    assert found.ha1 == {
        "MD5": hashlib.md5(b"jan:example.org:correct horse", usedforsecurity=False).hexdigest(),
        "SHA-256": hashlib.sha256(b"jan:example.org:correct horse").hexdigest(),
    }
    assert "HA1 not shown" in repr(found)
    for names in (
        ("jan", "example.org", "example.com"),
        ("eva", "example.org", "example.org"),
        ("jan", "example.com", "example.org"),
    ):
        assert await credential(jan, *names) is None

    async def read(tx: Tx) -> list[Any]:
        return await tx.all(_sealed)

    [(realm, md5, sha256)] = await jan.installation.store.read(read)
    assert realm == "example.org"
    for value in found.ha1.values():
        assert bytes.fromhex(value) not in md5 + sha256
