"""What commands that make or set a password have alike: how it is given, and how it is shown once."""

from __future__ import annotations

from typing import Any

import click
import msgspec

ask_option = click.option(
    "--ask-password", is_flag=True, help="Type the password; otherwise one is made and printed once."
)


def asked() -> str:
    """The password, typed twice."""
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


def print_password(done: dict[str, Any], whose: str, name: str, *, json: bool) -> None:
    """`whose` and `name` say for whom it is, such as `user` and its id; `done` has the password, or None."""
    if json:
        click.echo(msgspec.json.encode(done))
        return
    width = max(len(whose), len("password"))
    click.echo(f"{whose:{width}}  {name}\n{'password':{width}}  {done['password'] or 'as you typed it'}")
    if done["password"]:
        click.echo("Keep the password now: it is not shown again.", err=True)
