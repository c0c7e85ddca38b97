"""`ringback calls`: what a person reads who asks why a phone did or did not ring."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli import calls
from ringback.commands import COMMANDS
from ringback.directory import Preferences
from ringback.errors import CallNotFound, StartRefused
from ringback.softphone import Phone
from tests.calls.suspending import Proxy

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, on the server of the test."""

    async def run(*words: str) -> Result:
        async def here(name: str, **arguments: Any) -> Any:
            return await COMMANDS[name](proxy.served.installation, proxy.served.rooms, **arguments)

        loop = asyncio.get_running_loop()

        def run_command(name: str, /, **arguments: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(here(name, **arguments), loop).result()

        monkeypatch.setattr(calls, "run_command", run_command)
        return await asyncio.to_thread(CliRunner().invoke, calls.command, list(words))

    return run


async def test_a_call_is_told_as_a_story(proxy: Proxy, phone: Phone, run: Run) -> None:
    made = (await proxy.wake()).body
    wakeup, push = made["wakeupId"], made["pushes"][0]["pushId"]
    await proxy.settled()
    shown = (await run("show", wakeup)).output
    assert "outcome   it waits, until 2027-01-15 08:00:40.000Z" in shown
    proxy.clock.advance(2)
    await proxy.ask("POST", f"{wakeup}/registered")
    proxy.clock.advance(2)
    await proxy.ask("DELETE", f"{wakeup}?reason=cancelled")
    await proxy.settled()
    shown = (await run("show", wakeup)).output
    assert shown.startswith(f"""\
2027-01-15 08:00:00.000Z  Bob <sip:bob@example.com> called alice@example.org
outcome   CANCELLED after 4.000 s: cancelled
mode      push-only
Call-ID   call-1
call      {wakeup}

   0.000 s  ●·······················  asked  by=kamailio
   0.000 s  ●·······················  preference  mobile_push_enable=always  decided_by=subscriber
   0.000 s  ●·······················  pushed  pushes=1
   2.000 s  ···········●············  registered
   4.000 s  ·······················●  phones told  why=cancelled
   4.000 s  ·······················●  ended  outcome=CANCELLED  reason=cancelled

the callee's push tokens
  local of registration {phone.state.activation_id} in bank: used
    push {push}: DELIVERED
""")
    assert "  local: told that the call was over\n    push " in shown
    by_program = json.loads((await run("show", wakeup, "--json")).output)
    assert by_program == (await proxy.call(wakeup, proxy.served.admin)).body


async def test_the_newest_calls_are_listed(proxy: Proxy, run: Run) -> None:
    assert (await run("list")).output == "There was no such call in the last 30 days.\n"
    await proxy.subscriber("eva", Preferences())
    ids = []
    for number in range(3):
        ids.append((await proxy.wake(f"call-{number}", "eva@example.org", callerName="")).body["wakeupId"])
        proxy.clock.advance(1)
    await proxy.settled()
    listed = (await run("list", "--limit", "2", "--outcome", "not_enabled")).output.splitlines()
    line = "NOT_ENABLED           eva@example.org  from sip:bob@example.com"
    assert listed[:2] == [f"2027-01-15 08:00:02.000Z  {line}  {ids[2]}", f"2027-01-15 08:00:01.000Z  {line}  {ids[1]}"]
    cursor = listed[2].removeprefix("There are more: --cursor ")
    rest = json.loads((await run("list", "--json", "--cursor", cursor)).output)
    assert [one["id"] for one in rest["items"]] == ids[:1]
    shown = (await run("show", ids[0])).output
    assert "outcome   NOT_ENABLED after 0.000 s: mobile_push_enable is never (built in)" in shown
    assert shown.endswith("the callee's push tokens\n  none\n")
    for words in (("list", "--mode", "x"), ("list", "--outcome", "x")):
        assert isinstance((await run(*words)).exception, StartRefused)
    assert isinstance((await run("show", "x")).exception, CallNotFound)


@pytest.mark.parametrize("outcome", [None, "TIMEOUT", "SUBSCRIPTION_REFUSED"])
@pytest.mark.parametrize("callee", ["b@x", "maria.de.los.angeles@subscribers.example.org"])
@pytest.mark.parametrize("columns", [None, 80, 100, 120, 200])
def test_a_line_fits_the_terminal_and_the_id_stays_whole(columns: int | None, callee: str, outcome: str | None) -> None:
    call = {
        "id": "01890a5d-ac96-774b-bcce-b302099a8057", "outcome": outcome, "callee": callee,
        "callerName": "Alice from the second floor", "caller": "sip:alice@example.org",
        "timestampStarted": 1_800_000_000_000,
    }  # fmt: skip
    (line,) = calls.lines_of([call], columns)
    assert len(line) <= (columns or 200)
    assert line.endswith(f"  {call['id']}")
    assert (outcome or "WAITING")[:10] in line
    assert callee[:12] in line
    if columns in {None, 200}:
        assert line.startswith("2027-01-15 08:00:00.000Z")
        assert f"{callee}  from Alice from the second floor" in line
    elif columns == 80 and outcome == "SUBSCRIPTION_REFUSED":
        assert line.startswith("01-15 08:00:00  SUBSCRIPTI…  ")


@pytest.mark.parametrize("times", [(0, -3_600_000, -3_599_000), (-5, -2), (0, 3_600_000), (0, 0)])
def test_a_trace_fits_its_lines_whatever_the_clocks_said(
    times: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    trace = [{"atMilliseconds": at, "step": "ended", "details": {}} for at in times]
    calls._print_trace({"trace": trace})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(times)
    for line in lines:
        assert len(line) < 60
        assert line.count("●") == 1
