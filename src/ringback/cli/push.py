"""`ringback push`: push credentials, campaigns, and why a push was or was not sent."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from ringback.cli.installation import operating_system_user, run_command, somebody_serves
from ringback.cli.push_credential import credential
from ringback.cli.push_why import why
from ringback.errors import StartRefused

USERS_AT_A_TIME = 60
"""They travel as one line of at most 64 KiB, also where each user id is as long as can be."""
LONGEST_NAME = 255
POLL_SECONDS = 0.3
_OVER = ("DONE", "CANCELLED")
_INTERRUPTED = 130
_USER_ID = re.compile(r"[^\x00-\x1f\x7f]{1,255}")


@click.group(name="push", help="Push credentials, campaigns, and why a push was or was not sent.")
def command() -> None:
    """Groups the commands."""


command.add_command(credential)
command.add_command(why)


@command.command("campaign", help="Tell many users one thing, and show how far it is. APP is an app's id.")
@click.argument("app")
@click.option("--title", default="", help="What phones show first.")
@click.option("--message", default="", help="What phones show below it.")
@click.option("--language", default="en", show_default=True, help="Of title and message.")
@click.option("--texts", type=click.Path(exists=True, dir_okay=False), help='JSON file: {"en": {"title", "message"}}.')
@click.option("--silent", is_flag=True, help="Wakes the apps and shows nothing.")
@click.option("--name", default=None, help="What you call it; by default the title.")
@click.option("--everyone", is_flag=True, help="All users whom the app can reach.")
@click.option(
    "--users",
    "users_file",
    type=click.File(encoding="utf-8-sig"),
    help="File with one user id a line; - reads standard input.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until everybody was told.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
def campaign(  # noqa: PLR0917 - one parameter for each option
    app: str,
    title: str,
    message: str,
    language: str,
    texts: str | None,
    silent: bool,  # noqa: FBT001
    name: str | None,
    everyone: bool,  # noqa: FBT001
    users_file: IO[str] | None,
    no_wait: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Works while the server runs and while it does not; only a running server or worker tells anybody."""
    if everyone == (users_file is not None):
        raise click.UsageError("Say either --everyone or --users FILE.")
    by_language = _texts(texts, language, title, message)
    if not silent and not by_language:
        raise click.UsageError("Say --title and --message, or --texts FILE, or --silent.")
    # Read to its end before anything is made: a file that cannot be read leaves no campaign behind.
    users = _users(users_file)
    by = operating_system_user()
    first = next(iter(by_language.values()), {"title": "silent"})
    content = {"appId": app, "name": name or first["title"][:LONGEST_NAME], "texts": by_language, "silent": silent}
    made = run_command("create_campaign", content={**content, "everyone": everyone}, by=by)
    try:
        for some in _chunks(users):
            run_command("add_campaign_users", campaign_id=made["id"], users=some, by=by)
        shown = run_command("start_campaign", campaign_id=made["id"], by=by)
        waits = not no_wait and somebody_serves()
        if waits:
            shown = _wait(shown["id"], by, quiet=as_json)
    except KeyboardInterrupt:
        status = run_command("show_campaign", campaign_id=made["id"], by=by)["status"]
        click.echo(f"Nobody waits any more. The campaign {made['id']} is {status}.", err=True)
        click.echo(f"To end it: POST /api/v1/campaigns/{made['id']}/cancel", err=True)
        sys.exit(_INTERRUPTED)
    if not waits and not no_wait:
        click.echo("No server runs here: the users are told when it does.", err=True)
    if as_json:
        click.echo(msgspec.json.encode(shown))
        return
    click.echo(f"campaign   {shown['id']}\nstatus     {shown['status']}\nusers      {shown['users']}")
    if waits:
        click.echo(f"told       {shown['usersTold']}\npushes     {shown['pushes']}")
        click.echo(f"delivered  {shown['pushesDelivered']}\nfailed     {shown['pushesFailed']}")


def _texts(file: str | None, language: str, title: str, message: str) -> dict[str, Any]:
    if file is not None:
        if title or message:
            raise click.UsageError("Say either --texts FILE, or --title and --message.")
        try:
            found: dict[str, Any] = msgspec.json.decode(Path(file).read_bytes(), type=dict[str, dict[str, str]])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{file} is not a JSON object of texts by language: {error}.") from error
        return found
    return {language: {"title": title, "message": message}} if title else {}


def _users(file: IO[str] | None) -> list[str]:
    """The users of a file; empty lines are nobody. Raises StartRefused when a line is no user id, or there is none."""
    if file is None:
        return []
    try:
        lines = [line.strip() for line in file]
    except UnicodeDecodeError as error:
        raise StartRefused(f"{file.name} is no text in UTF-8: {error}.", cause=error) from error
    for number, line in enumerate(lines, 1):
        if line and _USER_ID.fullmatch(line) is None:
            raise StartRefused(
                f"{file.name}, line {number}: a user id has 1 to 255 characters, and no control character."
            )
    users = [line for line in lines if line]
    if not users:
        raise StartRefused(f"{file.name} names no user.")
    return users


def _chunks(users: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(users), USERS_AT_A_TIME):
        yield users[start : start + USERS_AT_A_TIME]


def _wait(campaign_id: str, by: str, *, quiet: bool) -> dict[str, Any]:
    """Shows the progress until everybody was told and every push has ended."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        users, pushes = progress.add_task("users", total=None), progress.add_task("pushes", total=None)
        while True:
            shown: dict[str, Any] = run_command("show_campaign", campaign_id=campaign_id, by=by)
            ended = shown["pushesDelivered"] + shown["pushesFailed"]
            progress.update(users, completed=shown["usersDone"], total=shown["users"])
            progress.update(pushes, completed=ended, total=shown["pushes"])
            if shown["status"] in _OVER and shown["pushesQueued"] == 0:
                return shown
            time.sleep(POLL_SECONDS)
