"""`ringback phone`: the software phone, one command per thing that its owner does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ringback.cli.phone_call import answer, call, sip_account
from ringback.cli.phone_file import as_json_option as _json
from ringback.cli.phone_file import print_json as _print_json
from ringback.cli.phone_file import print_rows as _print_rows
from ringback.cli.phone_file import run_phone as _run
from ringback.cli.phone_file import state_option as _state
from ringback.cli.phone_file import tell as _tell
from ringback.cli.phone_inbox import inbox
from ringback.cli.table import print_table

if TYPE_CHECKING:
    from ringback.softphone import Activated, OfflineAnswer, Phone, PhoneDetail, PhoneOperation, PhoneStatus, Unlock

F = TypeVar("F", bound=Callable[..., Any])

_pin = click.option("--pin", envvar="RINGBACK_PIN", help="The PIN (or RINGBACK_PIN; asked for in a terminal).")


def _with_factors(function: F) -> F:
    for option in (click.option("--biometry", is_flag=True, help="Use biometry instead of the PIN."), _pin):
        function = option(function)
    return function


@click.group(name="phone", help="A phone in software: activate, approve, sign, call.")
def command() -> None:
    """Groups the commands."""


@command.command()
@click.argument("code", required=False)
@click.option("--url", required=True, help="Where phones reach the server, such as http://127.0.0.1:8080.")
@click.option("--config", "sdk_config", required=True, help="mobileSdkConfig of the app, or a file that holds it.")
@click.option("--name", default="Software phone", show_default=True, help="What the registration is called.")
@click.option("--no-biometry", is_flag=True, help="Keep no key for biometry.")
@click.option(
    "--protocol",
    default="3.3",
    show_default=True,
    callback=lambda _context, _parameter, text: _protocol(text),
    help="PowerAuth version that the phone speaks: 3.0, 3.1, 3.2 or 3.3.",
)
@click.option("--otp", help="The activation OTP that came beside the code.")
@click.option("--recovery", metavar="CODE", help="Instead of CODE: the recovery code of a lost phone or a postcard.")
@click.option("--puk", help="With --recovery: the PUK whose turn it is.")
@_pin
@_state
@_json
def activate(
    code: str | None,
    *,
    url: str,
    sdk_config: str,
    name: str,
    no_biometry: bool,
    protocol: str,
    otp: str | None,
    recovery: str | None,
    puk: str | None,
    pin: str | None,
    state_file: str,
    as_json: bool,
) -> None:
    """Activate a phone with CODE: the activation code, or the whole text of its QR code.

    With --recovery and --puk the phone takes the place of a lost one, and is active at once.
    """
    from ringback.softphone import StateFile, StateUnusable

    if (code is None) is (recovery is None) or (recovery is None) is not (puk is None):
        raise click.UsageError("Give CODE, or --recovery with --puk.")
    if Path(state_file).exists():
        raise StateUnusable(f"There is a phone in {state_file} already. Give another --state, or move that file away.")
    StateFile(state_file).prepare()  # a code is good for one activation
    chosen = _ask_pin(pin, confirm=True)
    text = _config_text(sdk_config)
    options: dict[str, Any] = {"name": name, "pin": chosen, "biometry": not no_biometry, "version": protocol}

    async def act(phone: Phone) -> Activated:
        if recovery is not None:
            return await phone.activate_by_recovery(url, text, recovery, puk or "", **options)
        return await phone.activate(url, text, code or "", otp=otp, **options)

    activated = _run(state_file, act)
    if as_json:
        _print_json(activated)
        return
    rows = [("activation", activated.activation_id), ("fingerprint", activated.fingerprint)]
    if activated.recovery is not None:
        rows += [("recovery", activated.recovery.recovery_code), ("PUK", activated.recovery.puk)]
    _print_rows(rows)
    if activated.recovery is not None:
        click.echo("Write down the recovery code and the PUK: they are not shown again.", err=True)
    if recovery is None:
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
    forms = ((operation, operation.form_data) for operation in operations)
    rows = [(operation.id, form.title, form.message, operation.operation_expires) for operation, form in forms]
    print_table(("operation", "title", "message", "expires"), rows, least=110)


@command.command()
@click.argument("operation_id", metavar="OPERATION", required=False)
@click.option("--link", metavar="URL", help="Instead of OPERATION: the link, or the text of the QR code, to it.")
@_with_factors
@_state
@_json
def approve(
    operation_id: str | None, *, link: str | None, pin: str | None, biometry: bool, state_file: str, as_json: bool
) -> None:
    """Approve an operation, with the PIN or biometry.

    With --link the operation is claimed first when it is nobody's, and the OTP in the link is sent along.
    """
    if (operation_id is None) is (link is None):
        raise click.UsageError("Give OPERATION, or --link.")
    unlock = _unlock(pin, biometry=biometry)

    async def act(phone: Phone) -> PhoneOperation:
        return await (phone.approve_link(link, unlock) if link else phone.approve(operation_id or "", unlock))

    approved: PhoneOperation = _run(state_file, act)
    if as_json:
        _print_json({"operationId": approved.id, "approved": True})
    else:
        click.echo(f"Approved: {approved.form_data.title or approved.name} ({approved.data})")


@command.command()
@click.option("--qr", "qr_text", required=True, help="Text of the QR code; @FILE for a file, @- for standard input.")
@_with_factors
@_state
@_json
def offline(qr_text: str, *, pin: str | None, biometry: bool, state_file: str, as_json: bool) -> None:
    """Answer a QR code without a network: prints the digits to type, grouped by four."""
    unlock = _unlock(pin, biometry=biometry)
    text = _content(qr_text).decode("utf-8", "replace").rstrip("\r\n")

    async def act(phone: Phone) -> OfflineAnswer:
        return phone.answer_offline(text, unlock)

    answer: OfflineAnswer = _run(state_file, act)
    if as_json:
        _print_json({"title": answer.title, "message": answer.message, "data": answer.data, "code": answer.grouped})
        return
    for line in filter(None, (answer.title, answer.message, answer.data)):
        click.echo(line, err=True)
    click.echo(answer.grouped)


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


def _protocol(text: str) -> str:
    """A version that there is."""
    from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS

    if text not in PROTOCOL_VERSIONS:
        raise click.BadParameter(f"{text!r} is none of {', '.join(PROTOCOL_VERSIONS)}.")
    return text


@command.command()
@click.argument("data", default="")
@click.option("--reason", default="NOT_SPECIFIED", show_default=True, help="What for; goes to the audit log.")
@_with_factors
@_state
@_json
def vault(*, data: str, reason: str, pin: str | None, biometry: bool, state_file: str, as_json: bool) -> None:
    """Open the vault; with DATA, sign it by the device's own key and print the ECDSA signature (DER in Base64).

    DATA is the text itself, @FILE for a file, @- for standard input.
    """
    import base64

    unlock = _unlock(pin, biometry=biometry)
    if data:
        signature: bytes = _run(state_file, lambda phone: phone.sign_with_device_key(_content(data), unlock))
        shown = base64.b64encode(signature).decode("ascii")
        _tell(shown, {"signature": shown}, as_json=as_json)
    else:
        _run(state_file, lambda phone: phone.unlock_vault(reason, unlock))
        _tell("The vault opens.", {"unlocked": True}, as_json=as_json)


@command.command()
@click.argument("name")
@_with_factors
@_state
@_json
def rename(name: str, *, pin: str | None, biometry: bool, state_file: str, as_json: bool) -> None:
    """Call this phone NAME, at the server and here."""
    unlock = _unlock(pin, biometry=biometry)
    detail: PhoneDetail = _run(state_file, lambda phone: phone.rename(name, unlock))
    _tell(f"This phone is now called {detail.activation_name}.", detail, as_json=as_json)


@command.command()
@_state
@_json
def info(*, state_file: str, as_json: bool) -> None:
    """Show what the back end tells this phone about its user."""
    claims: dict[str, Any] = _run(state_file, lambda phone: phone.user_info())
    if as_json:
        _print_json(claims)
    else:
        _print_rows([(name, str(value)) for name, value in sorted(claims.items())])


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
        raise click.UsageError(f"{text[1:]} cannot be read: {error.strerror}") from error


command.add_command(inbox)
command.add_command(sip_account)
command.add_command(call)
command.add_command(answer)
