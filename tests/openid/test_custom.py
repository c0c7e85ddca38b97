"""Activation by the app's own back end (type CUSTOM): what it is asked, and what it may answer."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringback.principal import Principal
from ringback.softphone import MemoryState, Phone, RefusedByServer
from tests.egress.servers import Listening, listening
from tests.served import Served

PATH = "/powerauth-cloud/admin/applications/bank/config"
VERSIONS = ["3.3", "3.2", "3.1", "3.0"]


@pytest.fixture
async def bank(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """A server that may call this machine."""
    settings = {"egress_allow": "127.0.0.0/8", "activation_attempts_per_minute": "1000"}
    async with Served.start(tmp_path, database_url, **settings) as running:
        yield running


@contextlib.asynccontextmanager
async def back_end(served: Served, answer: Any, status: int = 200, **more: str) -> AsyncIterator[list[Any]]:
    """The app's back end, which answers so; what it was asked."""
    asked: list[Any] = []
    body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = here.heads[-1].decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        asked.append(msgspec.json.decode(await reader.readexactly(length)))
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async with listening(speak) as here:
        values = {"url": f"http://127.0.0.1:{here.port}/who", **more}
        done = await served.call("POST", PATH, {"key": "custom_activation", "values": values}, auth=served.admin)
        assert done.status == 200
        asked.append(here)
        yield asked


async def activate(
    served: Served, identity: dict[str, str], version: str = "3.3", custom: dict[str, object] | None = None
) -> dict[str, Any]:
    """A phone that activates; the registration as its back end then sees it. Raises RefusedByServer."""
    phone = Phone(MemoryState(), session=served.session)
    done = await phone.activate_by(
        served.public,
        served.app["mobileSdkConfig"],
        "CUSTOM",
        identity,
        name="P",
        pin="1234",
        version=version,
        custom_attributes=custom,
    )
    shown: dict[str, Any] = (await served.call("GET", f"/powerauth-cloud/v2/registrations/{done.activation_id}")).body
    return shown


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_back_end_says_who_activates(bank: Served, version: str) -> None:
    async with back_end(bank, {"userId": "alice", "more": 1}, username="ringback", password="it's:me") as asked:
        shown = await activate(bank, {"username": "al", "password": "x"}, version, {"campaign": {"id": 7}})
        here: Listening = asked[0]
        assert asked[1] == {
            "applicationId": "bank",
            "identityAttributes": {"username": "al", "password": "x"},
            "customAttributes": {"campaign": {"id": 7}},
        }
        credentials = base64.b64encode(b"ringback:it's:me")
        assert b"\r\nAuthorization: Basic " + credentials + b"\r\n" in here.heads[0]
        assert here.heads[0].startswith(b"POST /who HTTP/1.1\r\n")
    assert (shown["userId"], shown["registrationStatus"]) == ("alice", "ACTIVE")


async def test_the_back_end_decides_about_commit_and_flags(bank: Served) -> None:
    async with back_end(bank, {"userId": "alice", "commit": False, "flags": ["VERIFIED"]}) as asked:
        shown = await activate(bank, {"a": "b"})
        assert b"Authorization" not in asked[0].heads[0]
        assert asked[1]["customAttributes"] == {}
    assert shown["registrationStatus"] == "PENDING_COMMIT"
    assert shown["flags"] == ["VERIFIED"]


OTHER_ANSWERS: list[tuple[Any, int]] = [
    ({"userId": "alice"}, 201),
    ({"userId": "alice"}, 302),
    ({"userId": "alice"}, 403),
    ({"userId": "alice"}, 500),
    ({}, 200),
    ({"userId": ""}, 200),
    ({"userId": None}, 200),
    ({"userId": 1}, 200),
    ({"userId": "x" * 256}, 200),
    ({"userId": "a\x00b"}, 200),
    ({"userId": "a\nb"}, 200),
    ({"userId": "alice", "flags": "VERIFIED"}, 200),
    ({"userId": "alice", "flags": ["x" * 256]}, 200),
    ({"userId": "alice", "commit": "no"}, 200),
    ({"userId": "alice", "customAttributes": []}, 200),
    ({"userId": "alice", "padding": "x" * 70_000}, 200),
    (["alice"], 200),
    (b"", 200),
    (b"not JSON", 200),
    (b'{"userId":"\xff"}', 200),
    (b"[" * 60_000, 200),
]


async def test_any_other_answer_activates_nobody(bank: Served) -> None:
    for answer, status in OTHER_ANSWERS:
        async with back_end(bank, answer, status) as asked:
            with pytest.raises(RefusedByServer, match="ERR_ACTIVATION"):
                await activate(bank, {"username": "al"})
            assert len(asked) == 2, answer
    listed = await bank.call("GET", "/powerauth-cloud/v2/registrations?userId=alice&removed=true")
    assert listed.body["registrations"] == []


async def test_attributes_that_lie_too_deep_in_each_other_are_not_passed_on(bank: Served) -> None:
    deep: Any = functools.reduce(lambda inner, _: {"a": inner}, range(100), 1)
    async with back_end(bank, {"userId": "alice"}) as asked:
        with pytest.raises(RefusedByServer, match="ERR_ACTIVATION"):
            await activate(bank, {"username": "al"}, custom=deep)
        assert len(asked) == 1
    async with back_end(bank, {"userId": "alice", "customAttributes": deep}):
        with pytest.raises(RefusedByServer, match="ERR_ACTIVATION"):
            await activate(bank, {"username": "al"})


async def test_without_a_back_end_or_with_a_dead_one_nobody_activates(bank: Served) -> None:
    with pytest.raises(RefusedByServer, match="ERR_ACTIVATION"):
        await activate(bank, {"username": "al"})
    async with back_end(bank, {"userId": "alice"}):
        pass
    with pytest.raises(RefusedByServer, match="ERR_ACTIVATION"):
        await activate(bank, {"username": "al"})


async def test_a_back_end_where_the_server_may_not_call_sees_no_connection(served: Served) -> None:
    """The address is checked when it is called as well, since a name can change."""
    async with listening() as here:
        value = {"url": f"https://localhost:{here.port}/"}
        refused = await served.call("POST", PATH, {"key": "custom_activation", "values": value}, auth=served.admin)
        assert refused.status == 400
        configuration = served.rooms.app_configuration

        async def set_directly(tx: Any) -> None:
            await configuration.set(tx, Principal("cli", "test"), "bank", "custom_activation", value)

        await served.installation.store.write(set_directly)
        configuration.forget("bank", "custom_activation")
        with pytest.raises(RefusedByServer, match="ERR_ACTIVATION"):
            await activate(served, {"username": "al"})
        assert here.connections == 0
