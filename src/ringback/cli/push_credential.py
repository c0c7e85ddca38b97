"""`ringback push credential`: what an app proves with, to Apple, to Google and to browsers, that it may push."""

from __future__ import annotations

import base64
import datetime as dt
import re
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from ringback.cli.installation import operating_system_user, run_command

KINDS = click.Choice(["apns", "fcm", "webpush"])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_KEY_ID = re.compile(r"AuthKey_([A-Z0-9]{10})\.p8")


@click.group(name="credential", help="What an app pushes with: an APNs auth key, a service account, VAPID keys.")
def credential() -> None:
    """Groups the commands."""


@credential.command("add", help="Store one of --apns, --p12, --certificate, --fcm, --webpush. APP is an app's id.")
@click.argument("app")
@click.option("--apns", type=FILE, help="The APNs auth key: AuthKey_….p8 of Apple's developer portal.")
@click.option("--key-id", help="Its Key ID, 10 characters; by default the one in the name of the file.")
@click.option("--team-id", help="Your Team ID, 10 characters.")
@click.option("--bundle-id", help="The bundle id of the app; of a certificate, by default its first topic.")
@click.option("--environment", type=click.Choice(["production", "development"]), help="Of push tokens that say none.")
@click.option("--p12", type=FILE, help="An APNs certificate with its key, as the Keychain exports it.")
@click.option("--password-file", type=FILE, help="Holds the password of the .p12 or the key; else it is asked for.")
@click.option("--certificate", type=FILE, help="An APNs certificate in PEM, or as Apple delivers it (aps.cer).")
@click.option("--key", type=FILE, help="Its private key in PEM, where it is another file.")
@click.option("--fcm", type=FILE, help="The JSON file of a Firebase service account.")
@click.option("--webpush", metavar="SUBJECT", help="mailto: or https: URL of whoever runs the app; keys are made.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def add(app: str, *, as_json: bool, **options: Any) -> None:
    """Works while the server runs and while it does not."""
    forms = [name for name in ("apns", "p12", "certificate", "fcm", "webpush") if options[name]]
    if len(forms) != 1:
        raise click.UsageError("Give one of --apns, --p12, --certificate, --fcm and --webpush.")
    kind = forms[0] if forms[0] in {"fcm", "webpush"} else "apns"
    content = {name: value for name, value in _content(forms[0], options).items() if value is not None}
    stored = run_command("put_push_credential", app=app, kind=kind, content=content, by=operating_system_user())
    _print(stored, as_json=as_json)


@credential.command("list", help="What an app pushes with, and what the providers think of it. APP is an app's id.")
@click.argument("app")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_all(app: str, *, as_json: bool) -> None:
    """Secrets are not shown."""
    found = run_command("list_push_credentials", app=app)
    for nth, one in enumerate(found):
        if nth and not as_json:
            click.echo()
        _print(one, as_json=as_json)
    if not found and not as_json:
        click.echo(f"{app} has no push credentials.", err=True)


@credential.command("try", help="Ask the provider whether it takes the credential; no phone notices.")
@click.argument("app")
@click.argument("kind", type=KINDS)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def try_out(app: str, kind: str, *, as_json: bool) -> None:
    """Exits with 1 when the provider does not take it, or does not answer."""
    tried = run_command("try_push_credential", app=app, kind=kind)
    if as_json:
        click.echo(msgspec.json.encode(tried))
    else:
        words = {True: "accepted", False: "refused", None: "unknown"}
        click.echo(f"{words[tried['accepted']]}   {tried['reason']}")
    if tried["accepted"] is not True:
        sys.exit(1)


@credential.command("clear", help="Forget the credential of one KIND (apns, fcm, webpush), or all of an app.")
@click.argument("app")
@click.argument("kind", type=KINDS, required=False)
def clear(app: str, kind: str | None) -> None:
    """Pushes wait from then on, until there is another one or they are too late."""
    run_command("clear_push_credentials", app=app, kind=kind, by=operating_system_user())
    click.echo(f"{app} has no push credential {f'of kind {kind} ' if kind else ''}any more.", err=True)


def _content(form: str, options: dict[str, Any]) -> dict[str, Any]:
    """The JSON that the native API would take."""
    if form == "fcm":
        return {"serviceAccount": _base64(options["fcm"])}
    if form == "webpush":
        return {"subject": options["webpush"]}
    shared = {"bundleId": options["bundle_id"], "environment": options["environment"]}
    if form == "p12":
        return {**shared, "p12": _base64(options["p12"]), "password": _password(options["password_file"], ".p12 file")}
    if form == "certificate":
        certificate, key = options["certificate"], options["key"]
        encrypted = b"ENCRYPTED" in (key or certificate).read_bytes()
        password = _password(options["password_file"], "private key") if encrypted else None
        files = {"certificate": _base64(certificate), "privateKey": key and _base64(key)}
        return {**shared, **files, "password": password}
    named = _KEY_ID.fullmatch(options["apns"].name)
    key_id = options["key_id"] or (named[1] if named else None)
    for option, value in (("--key-id", key_id), ("--team-id", options["team_id"]), ("--bundle-id", shared["bundleId"])):
        if not value:
            raise click.UsageError(f"--apns needs {option}.")
    return {**shared, "keyFile": _base64(options["apns"]), "keyId": key_id, "teamId": options["team_id"]}


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _password(file: Path | None, of: str) -> str:
    if file is not None:
        return file.read_text().rstrip("\r\n")
    if not sys.stdin.isatty():
        return ""
    asked: str = click.prompt(f"Password of the {of}", default="", hide_input=True, show_default=False)
    return asked


def _print(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(shown))
        return
    labels = {
        "kind": "kind",
        "form": "form",
        "status": "status",
        "statusReason": "because",
        "keyId": "key id",
        "teamId": "team id",
        "bundleId": "bundle id",
        "environment": "environment",
        "topics": "topics",
        "projectId": "project",
        "clientEmail": "account",
        "subject": "subject",
        "publicKey": "public key",
        "fingerprint": "fingerprint",
        "timestampExpires": "expires",
        "expiry": "expiry",
    }
    for name, label in labels.items():
        value = shown.get(name)
        if value is not None:
            click.echo(f"{label:<12} {_text(name, value)}")


def _text(name: str, value: Any) -> str:
    if name == "timestampExpires":
        return f"{dt.datetime.fromtimestamp(value / 1000, dt.UTC):%Y-%m-%d}"
    return ", ".join(value) if isinstance(value, list) else str(value)
