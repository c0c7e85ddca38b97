"""`ringback calls`: calls that had to wake a phone, and why each rang or did not."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import click
import msgspec

from ringback.cli.installation import run_command
from ringback.cli.push_why import print_considered, print_push, time_text

_BAR = 24
_OUTCOME_WIDTH = 20
_OUTCOME_CUT = 11
_MONTH, _FRACTION = 5, 19
"""Where these begin in a time."""
_BOTH_PEOPLE = 30
"""With less room only the callee is named."""
_LEAST = 8


@click.group(name="calls", help="Calls that had to wake a phone, and why each rang or did not.")
def command() -> None:
    """Groups the commands."""


@command.command("list", help="The newest calls.")
@click.option("--callee", default="", help="user@domain.")
@click.option("--caller", default="", help="The caller's URI, as it is shown.")
@click.option("--user", "user_id", default="", help="The user whom the callee belongs to.")
@click.option("--domain", default="", help="The callee's domain.")
@click.option("--call-id", default="", help="SIP's Call-ID.")
@click.option("--outcome", default="", help="How it ended, such as TIMEOUT; WAITING = it has not.")
@click.option("--mode", default="", help="application-server, embedded or push-only.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many.")
@click.option("--cursor", default="", help="Goes on where a page ended.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, as GET /api/v1/calls answers.")
def list_calls(limit: int, cursor: str, as_json: bool, outcome: str, **wanted: str) -> None:  # noqa: FBT001
    """Works while the server runs and while it does not."""
    asked = {**wanted, "outcome": outcome.upper(), "limit": limit}
    page = run_command("list_calls", wanted=asked, cursor=cursor)
    if as_json:
        click.echo(msgspec.json.encode(page))
        return
    if not page["items"] and not page["nextCursor"]:
        click.echo("There was no such call in the last 30 days.")
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines_of(page["items"], columns):
        click.echo(line)
    if page["nextCursor"]:
        click.echo(f"There are more: --cursor {page['nextCursor']}")


def lines_of(calls: list[dict[str, Any]], columns: int | None) -> list[str]:
    """A line for each call, whole where all of them fit into so many columns (None: there is no end to them).

    Else the time has no year and no fractions, and texts are cut, but never the id: `show` wants all of it.
    """
    times = [time_text(one["timestampStarted"]) for one in calls]
    whole = [
        f"{time}  {_said(one):<{_OUTCOME_WIDTH}}  {one['callee']}  {_from(one)}  {one['id']}"
        for time, one in zip(times, calls, strict=True)
    ]
    if columns is None or max(map(len, whole), default=0) <= columns:
        return whole
    lines = []
    for time, one in zip(times, calls, strict=True):
        head = f"{time[_MONTH:_FRACTION]}  {_cut(_said(one), _OUTCOME_CUT):<{_OUTCOME_CUT}}"
        left = max(columns - len(f"{head}    {one['id']}"), _LEAST)
        lines.append(f"{head}  {_people(one, left):<{left}}  {one['id']}")
    return lines


def _people(call: dict[str, Any], length: int) -> str:
    """Callee and caller, or the callee alone where there is little room."""
    if length < _BOTH_PEOPLE:
        return _cut(call["callee"], length)
    callee = _cut(call["callee"], max(length // 2, length - len(f"  {_from(call)}")))
    return _cut(f"{callee}  {_from(call)}", length)


def _said(call: dict[str, Any]) -> str:
    return call["outcome"] or "WAITING"


def _from(call: dict[str, Any]) -> str:
    return f"from {call['callerName'] or call['caller']}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


@command.command("show", help="What happened in a call. ID is what `ringback calls list` shows at the end of a line.")
@click.argument("call_record_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, as GET /api/v1/calls/ID answers.")
def show(call_record_id: str, as_json: bool) -> None:  # noqa: FBT001
    """Works while the server runs and while it does not."""
    call = run_command("show_call", call_record_id=call_record_id)
    if as_json:
        click.echo(msgspec.json.encode(call))
        return
    caller = f"{call['callerName']} <{call['caller']}>" if call["callerName"] else call["caller"]
    click.echo(f"{time_text(call['timestampStarted'])}  {caller} called {call['callee']}")
    click.echo(f"outcome   {_outcome(call)}")
    click.echo(f"mode      {call['mode']}\nCall-ID   {call['callId']}\ncall      {call['id']}\n")
    _print_trace(call)
    click.echo("\nthe callee's push tokens")
    pushes = {push["pushId"]: push for push in call["pushes"]}
    for one in call["considered"]:
        print_considered(one)
        push = pushes.pop(one["pushId"], None)
        if push is not None:
            print_push(push)
    if not call["considered"]:
        click.echo("  none")
    for push in pushes.values():
        click.echo(f"  {push['kind']}: told that the call was over")
        print_push(push)


def _outcome(call: dict[str, Any]) -> str:
    if call["outcome"] is None:
        return f"it waits, until {time_text(call['timestampDeadline'])}"
    status = f", {call['sipStatus']} to the caller" if call["sipStatus"] else ""
    reason = f": {call['reason']}" if call["reason"] else ""
    return f"{call['outcome']} after {_seconds(call['durations']['total'])}{status}{reason}"


def _print_trace(call: dict[str, Any]) -> None:
    """A line for each step, with its place in the time that the call took."""
    steps = call["trace"]
    longest = max((step["atMilliseconds"] for step in steps), default=0)
    for step in steps:
        at = step["atMilliseconds"]
        place = min(max(at, 0), longest) * (_BAR - 1) // longest if longest > 0 else 0  # clocks differ, and are set
        bar = "·" * place + "●" + "·" * (_BAR - 1 - place)
        details = "  ".join(f"{name}={_plain(value)}" for name, value in step["details"].items())
        click.echo(f"{_seconds(at):>10}  {bar}  {step['step']}  {details}".rstrip())


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f} s"
