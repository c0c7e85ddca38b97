"""`ringback subscriber`: who is called, and what proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from ringback.cli.installation import operating_system_user, run_command
from ringback.cli.new_password import ask_option, asked, print_password
from ringback.cli.options import json_option
from ringback.cli.sip_preferences import preference_lines, preference_options, said_preferences

_PAGE = 200


@click.group(name="subscriber", help="Subscribers of SIP, username@domain, which belong to users.")
def command() -> None:
    """Groups the commands."""


@command.command("create", help="Create a subscriber; the password of SIP is printed this once.")
@click.argument("address")
@click.option("--user", required=True, help="The userId whose phones a call wakes.")
@click.option("--display-name", help="What is shown instead of the address.")
@ask_option
@json_option
def create(address: str, user: str, display_name: str | None, *, ask_password: bool, as_json: bool) -> None:
    """Works while the server runs and while it does not."""
    password = asked() if ask_password else None
    by = operating_system_user()
    fields = {"address": address, "user": user, "display_name": display_name, "password": password}
    done = run_command("subscriber_create", **fields, by=by)
    print_password(done, "subscriber", done["subscriber"], json=as_json)


@command.command("set-password", help="Set another password of SIP; the old one is worth nothing any more.")
@click.argument("address")
@click.option("--realm", help="For this realm alone; otherwise for every one that the subscriber has a password for.")
@ask_option
@json_option
def set_password(address: str, realm: str | None, *, ask_password: bool, as_json: bool) -> None:
    """As `create`."""
    password = asked() if ask_password else None
    by = operating_system_user()
    done = run_command("subscriber_password", address=address, password=password, realm=realm, by=by)
    print_password(done, "subscriber", done["subscriber"], json=as_json)


@command.command("list", help="The subscribers of a domain, by name.")
@click.argument("domain")
@json_option
def list_subscribers(domain: str, *, as_json: bool) -> None:
    """With --json one object a line."""
    after: str | None = ""
    while after is not None:
        page: list[dict[str, Any]] = run_command("subscriber_list", domain=domain, after=after, limit=_PAGE)
        for one in page:
            click.echo(msgspec.json.encode(one) if as_json else _line(one))
        after = page[-1]["username"] if len(page) == _PAGE else None


@command.command("show", help="A subscriber, what holds for it and who decided that, and where it is reached.")
@click.argument("address")
@json_option
def show(address: str, *, as_json: bool) -> None:
    """Never what proves it."""
    _print(run_command("subscriber_show", address=address), as_json=as_json)


@command.command("set", help="Another user, another name, other preferences; what is not named stays.")
@click.argument("address")
@click.option("--user", help="The userId whose phones a call wakes.")
@click.option("--display-name", help="What is shown instead of the address.")
@click.option("--enable/--disable", "enabled", default=None, help="A disabled one registers nowhere and is not woken.")
@preference_options
@json_option
def set_subscriber(
    address: str,
    user: str | None,
    display_name: str | None,
    *,
    enabled: bool | None,
    as_json: bool,
    **preferences: Any,
) -> None:
    """Shows the subscriber afterwards."""
    disabled = None if enabled is None else not enabled
    fields = {"userId": user, "displayName": display_name, "disabled": disabled}
    done = run_command(
        "subscriber_set",
        address=address,
        fields={name: value for name, value in fields.items() if value is not None},
        preferences=said_preferences(preferences),
        by=operating_system_user(),
    )
    _print(done, as_json=as_json)


@command.command("delete", help="Forget a subscriber, its passwords, where it is reached, and how it was woken.")
@click.argument("address")
@json_option
def delete(address: str, *, as_json: bool) -> None:
    """Its user stays."""
    done = run_command("subscriber_delete", address=address, by=operating_system_user())
    click.echo(msgspec.json.encode(done) if as_json else f"subscriber  {done['subscriber']}\ndeleted     yes")


@command.command("import", help="Add the subscribers of a CSV file, all of them or none.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--skip-existing", is_flag=True, help="Leave subscribers as they are that are there already.")
@json_option
def import_file(file: Path, *, skip_existing: bool, as_json: bool) -> None:
    """The first line names the columns; docs/how-to/subscribers.md describes them."""
    from ringback.cli.subscriber_import import run_import

    run_import(file, skip_existing=skip_existing, as_json=as_json)


def _line(one: dict[str, Any]) -> str:
    state = "disabled" if one["disabled"] else "enabled"
    return f"{one['subscriber']}  {one['userId']}  {one['displayName'] or '-'}  {state}"


def _print(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(shown))
        return
    pairs = {
        "subscriber": shown["subscriber"],
        "user": shown["userId"],
        "display name": shown["displayName"] or "-",
        "state": "disabled" if shown["disabled"] else "enabled",
        "password for realm": ", ".join(shown["realms"]) or "none",
    }
    lines = [f"{name:<19} {value}" for name, value in pairs.items()] + preference_lines(shown["preferences"])
    lines += [f"{'reached at':<19} {binding['contact']}" for binding in shown["bindings"]]
    click.echo("\n".join(lines))
