"""`ringback phone`: the software phone, one command per thing that its owner does."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ringback.softphone import Phone, PhoneOperation, PhoneStatus, Unlock

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_state = click.option(
    "--state",
    "state_file",
    envvar="RINGBACK_PHONE",
    default="ringback-phone.json",
    show_default=True,
    type=click.Path(dir_okay=False),
    help="The phone's file (or RINGBACK_PHONE).",
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON value.")
_pin = click.option("--pin", envvar="RINGBACK_PIN", help="The PIN (or RINGBACK_PIN; asked for in a terminal).")


def _with_factors(function: F) -> F:
    for option in (click.option("--biometry", is_flag=True, help="Use biometry instead of the PIN."), _pin):
        function = option(function)
    return function


@click.group(name="phone", help="A phone in software: activate, approve, sign.")
def command() -> None:
    """Groups the commands."""


@command.command()
@click.argument("code")
@click.option("--url", required=True, help="Where phones reach the server, such as http://127.0.0.1:8080.")
@click.option("--config", "sdk_config", required=True, help="mobileSdkConfig of the app, or a file that holds it.")
@click.option("--name", default="Software phone", show_default=True, help="What the registration is called.")
@click.option("--no-biometry", is_flag=True, help="Keep no key for biometry.")
@_pin
@_state
@_json
def activate(
    code: str,
    *,
    url: str,
    sdk_config: str,
    name: str,
    no_biometry: bool,
    pin: str | None,
    state_file: str,
    as_json: bool,
) -> None:
    """Activate a phone with CODE: the activation code, or the whole text of its QR code."""
    from ringback.softphone import StateUnusable

    if Path(state_file).exists():
        raise StateUnusable(f"There is a phone in {state_file} already. Give another --state, or move that file away.")
    chosen = _ask_pin(pin, confirm=True)
    text = _config_text(sdk_config)
    activated = _run(
        state_file, lambda phone: phone.activate(url, text, code, name=name, pin=chosen, biometry=not no_biometry)
    )
    if as_json:
        _print_json(activated)
        return
    click.echo(f"activation   {activated.activation_id}\nfingerprint  {activated.fingerprint}")
    click.echo("Now the back end has to compare the fingerprint and commit the registration.", err=True)


@command.command()
@_state
@_json
def status(*, state_file: str, as_json: bool) -> None:
    """Ask the server how this phone stands."""
    told: PhoneStatus = _run(state_file, lambda phone: phone.status())
    if as_json:
        _print_json(told)
        return
    _print_rows(
        [
            ("phone", told.activation_name),
            ("activation", told.activation_id),
            ("status", told.status),
            ("attempts left", f"{told.remaining_attempts} of {told.max_failed_attempts}"),
            ("counters", told.counters + (f" by {told.counter_gap}" if told.counter_gap else "")),
        ]
    )
    if told.counters == "lost":
        click.echo("The counters are too far apart: activate the phone again with a new code.", err=True)


@command.command("list")
@_state
@_json
def list_(*, state_file: str, as_json: bool) -> None:
    """List what waits for this phone's answer."""
    operations: list[PhoneOperation] = _run(state_file, lambda phone: phone.list_operations())
    if as_json:
        _print_json(operations)
        return
    if not operations:
        click.echo("Nothing is waiting.")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("operation", "title", "message", "expires")
    table.columns[0].no_wrap = True
    table.columns[0].overflow = "fold"
    for operation in operations:
        form = operation.form_data  # a stranger's text: Text, so that nothing in it is taken for markup
        cells = (operation.id, form.title, form.message, operation.operation_expires)
        table.add_row(*(Text(cell) for cell in cells))
    Console(highlight=False).print(table)


@command.command()
@click.argument("operation_id", metavar="OPERATION")
@_with_factors
@_state
@_json
def approve(operation_id: str, *, pin: str | None, biometry: bool, state_file: str, as_json: bool) -> None:
    """Approve an operation, with the PIN or biometry."""
    unlock = _unlock(pin, biometry=biometry)
    approved: PhoneOperation = _run(state_file, lambda phone: phone.approve(operation_id, unlock))
    if as_json:
        _print_json({"operationId": approved.id, "approved": True})
    else:
        click.echo(f"Approved: {approved.form_data.title or approved.name} ({approved.data})")


@command.command()
@click.argument("operation_id", metavar="OPERATION")
@click.option("--reason", default="UNKNOWN", show_default=True, help="UNKNOWN, INCORRECT_DATA, UNEXPECTED_OPERATION.")
@_state
@_json
def reject(operation_id: str, *, reason: str, state_file: str, as_json: bool) -> None:
    """Reject an operation."""
    _run(state_file, lambda phone: phone.reject(operation_id, reason))
    if as_json:
        _print_json({"operationId": operation_id, "rejected": True})
    else:
        click.echo("Rejected.")


@command.command()
@click.argument("body", default="")
@click.option("--uri-id", required=True, help="What both sides call the request, such as /payment.")
@click.option("--method", default="POST", show_default=True, type=click.Choice(["GET", "POST", "PUT", "DELETE"]))
@_with_factors
@_state
@_json
def sign(
    uri_id: str, *, method: str, body: str, pin: str | None, biometry: bool, state_file: str, as_json: bool
) -> None:
    """Sign the BODY of a request to somebody else's server: prints the X-PowerAuth-Authorization header.

    BODY is the text itself, @FILE for a file, @- for standard input. For GET it is the query, such as "a=1&b=2", which
    is brought into the form that is signed.
    """
    unlock = _unlock(pin, biometry=biometry)
    content = _content(body)
    if method == "GET":
        from urllib.parse import parse_qsl

        from ringback.protocols.powerauth.signature import canonical_query

        content = canonical_query(parse_qsl(content.decode(), keep_blank_values=True))

    async def act(phone: Phone) -> str:
        return phone.sign(method, uri_id, content, unlock)

    header: str = _run(state_file, act)
    if as_json:
        _print_json({"authHeader": header})
    else:
        click.echo(header)


def _run(state_file: str, action: Callable[[Phone], Awaitable[T]]) -> T:
    """One action on the phone in the file; PhoneError goes up to the command line's one line on stderr."""
    from ringback.softphone import Phone, StateFile

    async def act() -> T:
        async with Phone(StateFile(state_file)) as phone:
            return await action(phone)

    return asyncio.run(act())


def _unlock(pin: str | None, *, biometry: bool) -> Unlock:
    from ringback.softphone import Unlock

    return Unlock(biometry=True) if biometry else Unlock(pin=_ask_pin(pin))


def _ask_pin(pin: str | None, *, confirm: bool = False) -> str:
    from ringback.softphone import PinNeeded

    if pin:
        return pin
    if not sys.stdin.isatty():
        raise PinNeeded
    asked: str = click.prompt("PIN", hide_input=True, confirmation_prompt=confirm, err=True)
    return asked


def _config_text(text: str) -> str:
    """The configuration itself, or what the file of that name holds."""
    path = Path(text)
    if len(text) < os.pathconf("/", "PC_NAME_MAX") and path.is_file():
        return path.read_text(encoding="utf-8", errors="replace")
    return text


def _content(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise click.UsageError(f"BODY: {text[1:]} cannot be read: {error.strerror}") from error


def _print_json(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.encode(value))


def _print_rows(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {value}")
