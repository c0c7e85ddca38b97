"""`ringback phone inbox`, against the wired server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ringback.softphone import InboxMessageUnknown
from tests.served import Served
from tests.softphone.test_phone_command import CLOUD, Terminal, registered


@pytest.fixture
async def terminal(served_sqlite: Served, tmp_path: Path) -> Terminal:
    """With an active phone of jan."""
    terminal = Terminal(served_sqlite, tmp_path / "phone.json")
    created = await registered(served_sqlite)
    done = await terminal.activate(created["activationQrCodeData"])
    assert done.exit_code == 0, done.output
    await served_sqlite.call("POST", f"{CLOUD}/registrations/{created['registrationId']}/commit", {})
    return terminal


async def put(terminal: Terminal, subject: str) -> str:
    body: dict[str, Any] = {"userId": "jan", "type": "text", "subject": subject, "summary": "s", "body": "The body."}
    return str((await terminal.served.call("POST", f"{CLOUD}/inbox/messages", body)).body["id"])


async def test_an_empty_inbox(terminal: Terminal) -> None:
    assert (await terminal.run("inbox", "list")).output == "There are no messages.\n"
    assert (await terminal.run("inbox", "count")).output == "0 unread\n"
    assert await terminal.json("inbox", "list") == []


async def test_counting_listing_and_reading(terminal: Terminal) -> None:
    first, second = await put(terminal, "First"), await put(terminal, "Second")
    assert await terminal.json("inbox", "count") == {"countUnread": 2}
    listed = (await terminal.run("inbox", "list")).output.splitlines()
    assert [line.split()[1] for line in listed] == [second, first]
    assert listed[0].startswith("* ")
    assert listed[0].endswith("  Second")
    shown = await terminal.run("inbox", "read", first)
    assert (shown.exit_code, shown.output) == (0, "First\n\nThe body.\n")
    told = await terminal.json("inbox", "list", "--unread")
    assert [(one["id"], one["read"]) for one in told] == [(second, False)]
    assert [one["id"] for one in await terminal.json("inbox", "list", "--page", "1", "--size", "1")] == [first]
    assert await terminal.json("inbox", "read-all") == {"readAll": True}
    assert (await terminal.run("inbox", "count")).output == "0 unread\n"
    assert all(line.startswith("  ") for line in (await terminal.run("inbox", "list")).output.splitlines())


async def test_a_message_that_is_not_there(terminal: Terminal) -> None:
    done = await terminal.run("inbox", "read", "unknown")
    assert (done.exit_code, isinstance(done.exception, InboxMessageUnknown)) == (1, True)
