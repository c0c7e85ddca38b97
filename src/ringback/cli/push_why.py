"""`ringback push why`: why a push was or was not sent, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from ringback.cli.installation import run_command


@click.command("why")
@click.argument("push_id", metavar="ID", default="")
@click.option("--user", "user_id", default="", help="Instead of ID: the newest things that this user was told.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100), help="With --user: how many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def why(push_id: str, *, user_id: str, limit: int, as_json: bool) -> None:
    """Tell why a push was or was not sent.

    ID is that of a push or of a notice: the answer to a message, the audit log and the log have them. Works while the
    server runs and while it does not.
    """
    if bool(push_id) == bool(user_id):
        raise click.UsageError("Give ID, or --user.")
    traces = run_command("why_push", push_id=push_id, user_id=user_id, limit=limit)
    if as_json:
        click.echo(msgspec.json.encode(traces))
        return
    if not traces:
        click.echo("There was nothing to tell this user in the last 30 days.")
    for number, trace in enumerate(traces):
        if number:
            click.echo()
        _print(trace)


def _print(trace: dict[str, Any]) -> None:
    subject = " ".join(filter(None, (trace["subjectKind"], trace["subjectId"])))
    click.echo(f"{time_text(trace['timestampCreated'])}  {subject}  to {trace['userId']}")
    pushes = {push["pushId"]: push for push in trace["pushes"]}
    for one in trace["considered"]:
        print_considered(one)
        push = pushes.pop(one["pushId"], None)
        if push is not None:
            print_push(push)
    for push in pushes.values():
        click.echo(f"  {push['kind']} of {push['registrationId'] or 'a call'}")
        print_push(push)
    if trace["noticeId"] is not None and not trace["considered"]:
        click.echo("  nobody: the user has no registration and no push token")


def print_considered(one: dict[str, Any]) -> None:
    """A push token and whether it was used."""
    kind = one["kind"] or "no push token"
    where = f" ({one['environment']})" if one["environment"] else ""
    whose = f"UDS device {one['devicePkid']}" if one["devicePkid"] else f"registration {one['registrationId']}"
    if not one["devicePkid"] and not one["registrationId"]:
        whose = f"SIP instance {one.get('sipInstance') or 'without a name'}"
    click.echo(f"  {kind}{where} of {whose} in {one['appId']}: " + ("used" if one["used"] else one["reason"]))


def print_push(push: dict[str, Any]) -> None:
    """What became of a push."""
    click.echo(f"    push {push['pushId']}: {push['status']}" + (f", {push['reason']}" if push["reason"] else ""))
    for attempt in push["attempts"]:
        said = f", {attempt['answer']}" if attempt["answer"] else ""
        took = f"{attempt['durationMilliseconds']} ms"
        click.echo(
            f"    attempt {attempt['attempt']}, {time_text(attempt['timestamp'])}, {took}: {attempt['outcome']}{said}"
        )
    at = push["timestampNextAttempt"]
    click.echo(f"    next: {push['next']}" + (f" Not before {time_text(at)}." if at is not None else ""))


def time_text(at_ms: int) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"
