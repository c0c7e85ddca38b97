"""`ringback config`: the settings."""

from __future__ import annotations

import os
import re

import click
import msgspec

from ringback.cli.table import print_table
from ringback.settings import Setting, load_settings, unknown_variables


@click.group(name="config", help="The settings and where they come from.")
def command() -> None:
    """Groups the commands."""


@command.command("show", help="Every setting: value, source, meaning.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.option("--config", "config_file", type=click.Path(), help="TOML file (or RINGBACK_CONFIG).")
def show(*, as_json: bool, config_file: str | None) -> None:
    """No password is shown, nor the one in a database URL."""
    _, shown = load_settings(None, config_file)
    shown = [msgspec.structs.replace(item, value=_without_password(item)) for item in shown]
    if as_json:
        click.echo(msgspec.json.encode(shown))
        return
    rows = [(item.name, str(item.value), item.source, item.meaning) for item in shown]
    print_table(("Setting", "Value", "From", "Meaning"), rows, least=80)


@command.command("check", help="Read the settings and say whether they can be used.")
@click.option("--config", "config_file", type=click.Path(), help="TOML file (or RINGBACK_CONFIG).")
def check(config_file: str | None) -> None:
    """Exits 1 with one line when they cannot."""
    settings, _ = load_settings(None, config_file)
    if settings.tls_certificate:
        from ringback.http import Certificate

        Certificate(settings.tls_certificate, settings.tls_key)
    for name in unknown_variables(os.environ):
        click.echo(f"{name} is no setting: nobody reads it. See: ringback config show", err=True)
    click.echo("The settings can be used.")


def _without_password(item: Setting) -> str | int:
    if item.name.endswith("password"):
        return "***" if item.value else ""
    return re.sub(r"(//[^:/@]*:)[^@]*@", r"\1***@", item.value) if isinstance(item.value, str) else item.value
