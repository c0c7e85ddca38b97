"""`ringback domain`: the domains of SIP."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ringback.cli.installation import operating_system_user, run_command
from ringback.cli.options import json_option
from ringback.cli.sip_preferences import preference_lines, preference_options, said_preferences

_apps = click.option("--app", "apps", multiple=True, help="An app whose phones calls may wake; may be repeated.")
_PAGE = 200


@click.group(name="domain", help="Domains of SIP: what stands behind the @ of subscribers.")
def command() -> None:
    """Groups the commands."""


@command.command("create", help="Create a domain. Without --app, calls wake every app of the user who is called.")
@click.argument("domain")
@_apps
@json_option
def create(domain: str, apps: tuple[str, ...], *, as_json: bool) -> None:
    """Works while the server runs and while it does not."""
    done = run_command("domain_create", domain=domain, app_ids=list(apps), by=operating_system_user())
    click.echo(msgspec.json.encode(done) if as_json else f"domain  {done['domain']}\napps    {_apps_of(done)}")


@command.command("list", help="All domains, by name.")
@json_option
def list_domains(*, as_json: bool) -> None:
    """With --json one object a line."""
    after: str | None = ""
    while after is not None:
        page: list[dict[str, Any]] = run_command("domain_list", after=after, limit=_PAGE)
        for one in page:
            click.echo(msgspec.json.encode(one) if as_json else f"{one['domain']}  {_apps_of(one)}")
        after = page[-1]["domain"] if len(page) == _PAGE else None


@command.command("show", help="A domain, its preferences, and which level decides them.")
@click.argument("domain")
@json_option
def show(domain: str, *, as_json: bool) -> None:
    """What holds for its subscribers that say nothing themselves."""
    _print(run_command("domain_show", domain=domain), as_json=as_json)


@command.command("set", help="Other apps, other preferences; what is not named stays.")
@click.argument("domain")
@_apps
@click.option("--every-app", is_flag=True, help="Calls wake every app of the user who is called.")
@preference_options
@json_option
def set_domain(domain: str, apps: tuple[str, ...], *, every_app: bool, as_json: bool, **preferences: Any) -> None:
    """Shows the domain afterwards."""
    if apps and every_app:
        raise click.UsageError("Name apps, or --every-app, not both.")
    done = run_command(
        "domain_set",
        domain=domain,
        app_ids=list(apps) if apps or every_app else None,
        preferences=said_preferences(preferences),
        by=operating_system_user(),
    )
    _print(done, as_json=as_json)


@command.command("delete", help="Forget a domain that has no subscribers any more.")
@click.argument("domain")
@json_option
def delete(domain: str, *, as_json: bool) -> None:
    """The name may be used again."""
    done = run_command("domain_delete", domain=domain, by=operating_system_user())
    click.echo(msgspec.json.encode(done) if as_json else f"domain   {done['domain']}\ndeleted  yes")


def _print(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(shown))
        return
    click.echo(f"{'domain':<19} {shown['domain']}\n{'apps':<19} {_apps_of(shown)}")
    click.echo("\n".join(preference_lines(shown["preferences"])))


def _apps_of(shown: dict[str, Any]) -> str:
    return ", ".join(shown["appIds"]) or "every app of the user"
