"""`ringback admin`: system users."""

from __future__ import annotations

import click
import msgspec

from ringback.cli.installation import operating_system_user, run_command


@click.group(name="admin", help="System users.")
def command() -> None:
    """Groups the commands."""


@command.command("create-user", help="Create a system user; the password is printed this once.")
@click.argument("name")
@click.option("--role", type=click.Choice(["admin", "integration", "sip-proxy"]), required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def create_user(name: str, role: str, *, as_json: bool) -> None:
    """Works while the server runs and while it does not."""
    created = run_command("create_user", name=name, role=role, by=operating_system_user())
    if as_json:
        click.echo(msgspec.json.encode(created))
        return
    click.echo(f"user name  {created['username']}\nrole       {created['role']}\npassword   {created['password']}")
    click.echo("Keep the password now: it is not shown again.", err=True)
