"""`ringback phone sip-account`, `call` and `answer`: the software phone as a telephone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ringback.cli.phone_file import (
    as_json_option,
    print_json,
    run_phone_until_sigterm,
    run_until_sigterm,
    state_option,
    tell,
)

if TYPE_CHECKING:
    from ringback.softphone import CallMove, CallTold, Phone, PhoneCall, SipAccount

_password = click.option(
    "--password",
    envvar="RINGBACK_SIP_PASSWORD",
    help="The SIP account's password (or RINGBACK_SIP_PASSWORD; asked for in a terminal).",
)
_server = click.option("--server", metavar="HOST[:PORT][;transport=tcp|tls]", help="The SIP server.")
_ca = click.option(
    "--ca-file", type=click.Path(exists=True, dir_okay=False), help="Whom to believe about a server's TLS certificate."
)
_talk = click.option(
    "--talk",
    "talk_seconds",
    type=click.FloatRange(min=0, max=86_400),
    default=2.0,
    show_default=True,
    help="Seconds after which an answered call is hung up.",
)


@click.command("sip-account")
@click.argument("uri", required=False)
@_server
@_password
@click.option("--display-name", default="", help="The name that is shown to whoever is called.")
@click.option("--forget", is_flag=True, help="Take the account away.")
@state_option
@as_json_option
def sip_account(
    uri: str | None,
    *,
    server: str | None,
    password: str | None,
    display_name: str,
    forget: bool,
    state_file: str,
    as_json: bool,
) -> None:
    """Give this phone the SIP account URI, such as sip:bob@example.org; without URI, show the one it has.

    The account is kept in the phone's file, with its password.
    """
    from ringback.softphone import SipAccount, StateFile, checked_account, keep_account, read_address

    keeper = StateFile(state_file)
    if forget:
        keep_account(keeper, None)
        tell("The phone has no SIP account any more.", {"account": None}, as_json=as_json)
        return
    if uri is None:
        _show(_account_of(state_file), as_json=as_json)
        return
    if server is None:
        raise click.UsageError("Give --server.")
    account = SipAccount(
        uri=read_address(uri), server=server, password=_ask_password(password), display_name=display_name
    )
    keep_account(keeper, checked_account(account))
    _show(_account_of(state_file), as_json=as_json)


@click.command()
@click.argument("target")
@click.option("--from", "from_uri", metavar="URI", help="Call as this account instead of the phone's own.")
@_server
@_password
@_ca
@_talk
@click.option(
    "--patience",
    "patience_seconds",
    type=click.FloatRange(min=1, max=86_400),
    default=120.0,
    show_default=True,
    help="Seconds after which a call that nobody answers is cancelled.",
)
@click.option("--in-parallel", is_flag=True, help="Where a redirection names several phones, call them all at once.")
@click.option("--no-sound", is_flag=True, help="Send no sound.")
@state_option
@as_json_option
def call(
    target: str,
    *,
    from_uri: str | None,
    server: str | None,
    password: str | None,
    ca_file: str | None,
    talk_seconds: float,
    patience_seconds: float,
    in_parallel: bool,
    no_sound: bool,
    state_file: str,
    as_json: bool,
) -> None:
    """Call TARGET, such as sip:bob@example.org, and tell what the caller experiences.

    Calls with the SIP account in the phone's file, or as --from at --server, which needs no phone. Ends with 0 when
    somebody answered, else with 1.
    """
    from ringback.softphone import SipAccount, checked_account, make_call, read_address

    if (from_uri is None) is not (server is None):
        raise click.UsageError("Give --from and --server together.")
    if from_uri is not None and server is not None:
        chosen = SipAccount(uri=read_address(from_uri), server=server, password=_ask_password(password))
        account = checked_account(chosen)
    else:
        account = _account_of(state_file, instead=", or give --from and --server")
    address = read_address(target)
    if not as_json:
        click.echo(f"Calling {address} …")

    def moved(call: PhoneCall, move: CallMove) -> None:
        if not as_json:
            click.echo(_line(call, move))

    told: CallTold = run_until_sigterm(
        make_call(
            account,
            address,
            talk_seconds=talk_seconds,
            patience_seconds=patience_seconds,
            sound=not no_sound,
            in_parallel=in_parallel,
            ca_file=ca_file,
            on_move=moved,
        )
    )
    if as_json:
        print_json(told)
    else:
        for line in _ending(told):
            click.echo(line)
    if not told.answered:
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--once", is_flag=True, help="End after one call.")
@click.option("--awake", is_flag=True, help="Stay registered instead of sleeping until a push comes.")
@click.option(
    "--ring",
    "ring_seconds",
    type=click.FloatRange(min=0, max=3600),
    default=0.5,
    show_default=True,
    help="Seconds that the phone rings before it answers.",
)
@_talk
@click.option("--reject", is_flag=True, help="Reject calls instead of answering them.")
@click.option("--no-sound", is_flag=True, help="Send no sound.")
@_ca
@state_option
@as_json_option
def answer(
    *,
    once: bool,
    awake: bool,
    ring_seconds: float,
    talk_seconds: float,
    reject: bool,
    no_sound: bool,
    ca_file: str | None,
    state_file: str,
    as_json: bool,
) -> None:
    """Sleep until a push tells of a call; then wake up, register, ring, answer and hang up.

    The phone needs a SIP account: `ringback phone sip-account`. Pushes reach it over the stream `local`. With --json
    each call is one line.
    """
    from ringback.softphone import Answering, answer_calls

    account = _account_of(state_file)

    def told(text: str) -> None:
        if not as_json:
            click.echo(text)
            sys.stdout.flush()

    def ended(call: CallTold) -> None:
        if as_json:
            print_json(call)
        else:
            for line in _ending(call):
                told(line)

    wanted = Answering(
        ring_seconds=ring_seconds,
        talk_seconds=talk_seconds,
        reject=reject,
        sound=not no_sound,
        ca_file=ca_file,
    )

    async def act(phone: Phone) -> Any:
        return await answer_calls(
            phone,
            account,
            wanted,
            once=once,
            awake=awake,
            told=told,
            moved=lambda call, move: told(_line(call, move)),
            ended=ended,
        )

    run_phone_until_sigterm(state_file, act)


def _account_of(state_file: str, *, instead: str = "") -> SipAccount:
    """`instead`: what else may be given to the command."""
    from ringback.softphone import NotActivated, SipAccountMissing, StateFile

    try:
        account = StateFile(state_file).load().sip_account
    except NotActivated as error:
        raise SipAccountMissing(f"There is no phone in {state_file}. Activate one{instead}.", cause=error) from error
    if account is None:
        raise SipAccountMissing(
            f"This phone has no SIP account. Give it one with `ringback phone sip-account`{instead}."
        )
    return account


def _ask_password(password: str | None) -> str:
    if password is not None:
        return password
    if not sys.stdin.isatty():
        return ""  # a trusted peer needs none, and a server that wants one says so
    asked: str = click.prompt("SIP password", hide_input=True, default="", show_default=False, err=True)
    return asked


def _show(account: SipAccount, *, as_json: bool) -> None:
    shown = {"uri": account.uri, "server": account.server, "instance": account.instance}
    tell(f"{account.uri} at {account.server}", shown, as_json=as_json)


_SHOWN = {
    "CONNECTING": "connecting…",
    "REDIRECTED": "going on to",
    "RINGING": "ringing",
    "ANSWERED": "answered",
    "ENDED": "over",
}


def _line(call: PhoneCall, move: CallMove) -> str:
    detail = f": {move.detail}" if move.state == "ENDED" else f" {move.detail}" if move.detail else ""
    notes = [str(move.status)] if move.status else []
    if move.state == "CONNECTING" and call.has_early_media:
        notes.append("early media")
    noted = f" ({', '.join(notes)})" if notes else ""
    return f"{move.after_ms / 1000:7.2f} s  {_SHOWN.get(move.state, move.state.lower())}{detail}{noted}"


def _ending(told: CallTold) -> list[str]:
    lines = [f"           {told.meaning}"] if told.meaning else []
    if told.early_media_packets or told.heard_packets:
        lines.append(
            f"           heard {told.early_media_packets} packets before the answer, {told.heard_packets} after it"
        )
    return lines
