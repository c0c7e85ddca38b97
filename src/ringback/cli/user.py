"""`ringback user`: people that may log in, such as the owners of UDS devices."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ringback.cli.installation import operating_system_user, run_command
from ringback.cli.new_password import ask_option, asked, print_password
from ringback.cli.options import json_option

_PAGE = 200


@click.group(name="user", help="People that may log in; the same ones as the userId of registrations.")
def command() -> None:
    """Groups the commands."""


@command.command("create", help="Create a user; the password is printed this once.")
@click.argument("user")
@click.option("--display-name", help="What is shown instead of the id.")
@ask_option
@json_option
def create(user: str, display_name: str | None, *, ask_password: bool, as_json: bool) -> None:
    """Works while the server runs and while it does not."""
    password = asked() if ask_password else None
    done = run_command(
        "user_create", user=user, display_name=display_name, password=password, by=operating_system_user()
    )
    print_password(done, "user", done["userId"], json=as_json)


@command.command("password", help="Set another password; the old one is worth nothing any more.")
@click.argument("user")
@ask_option
@json_option
def password(user: str, *, ask_password: bool, as_json: bool) -> None:
    """As `create`."""
    chosen = asked() if ask_password else None
    done = run_command("user_password", user=user, password=chosen, by=operating_system_user())
    print_password(done, "user", done["userId"], json=as_json)


@command.command("disable", help="Keep a user out; its UDS devices get no push.")
@click.argument("user")
@json_option
def disable(user: str, *, as_json: bool) -> None:
    """Until it is enabled again."""
    _set_disabled(user, disabled=True, as_json=as_json)


@command.command("enable", help="Let a user in again.")
@click.argument("user")
@json_option
def enable(user: str, *, as_json: bool) -> None:
    """With the password that it had."""
    _set_disabled(user, disabled=False, as_json=as_json)


@command.command("delete", help="Forget a user and its UDS devices; registrations and claims stay.")
@click.argument("user")
@json_option
def delete(user: str, *, as_json: bool) -> None:
    """The id may be given again."""
    done = run_command("user_delete", user=user, by=operating_system_user())
    click.echo(msgspec.json.encode(done) if as_json else f"user     {done['userId']}\ndeleted  yes")


@command.command("list", help="All users, by id.")
@json_option
def list_users(*, as_json: bool) -> None:
    """With --json one object a line."""
    after: str | None = ""
    while after is not None:
        page: list[dict[str, Any]] = run_command("user_list", after=after, limit=_PAGE)
        for user in page:
            click.echo(msgspec.json.encode(user) if as_json else _line(user))
        after = page[-1]["userId"] if len(page) == _PAGE else None


def _line(user: dict[str, Any]) -> str:
    state = "disabled" if user["disabled"] else "enabled"
    with_password = "" if user["passwordAt"] else ", no password"
    return f"{user['userId']}  {user['displayName'] or '-'}  {state}{with_password}"


def _set_disabled(user: str, *, disabled: bool, as_json: bool) -> None:
    done = run_command("user_disabled", user=user, disabled=disabled, by=operating_system_user())
    state = "disabled" if done["disabled"] else "enabled"
    click.echo(msgspec.json.encode(done) if as_json else f"user   {done['userId']}\nstate  {state}")
