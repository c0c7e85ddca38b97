"""The command line. One module per command group, loaded only when its command is used, so that help is instant."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys

import click

_GROUPS = {
    "admin": ("System users.", "admin"),
    "calls": ("Calls that had to wake a phone, and why each rang or did not.", "calls"),
    "config": ("The settings and where they come from.", "config"),
    "db": ("Upgrade, back up, restore the database.", "db"),
    "demo": ("Plays the whole story with software phones.", "demo"),
    "kamailio": ("A Kamailio as registrar and proxy in front of this server.", "kamailio"),
    "domain": ("SIP: domains, the apps that they wake, their preferences.", "domain"),
    "keys": ("Rotate the instance key.", "keys"),
    "phone": ("A phone in software: activate, approve, sign.", "phone"),
    "push": ("Push credentials, campaigns, and why a push was or was not sent.", "push"),
    "role": ("", "serve:role"),
    "serve": ("Start the server.", "serve"),
    "subscriber": ("SIP: who is called, and what proves it.", "subscriber"),
    "user": ("People that may log in.", "user"),
    "testing": ("Doubles of the push providers, to try pushes out.", "testing"),
    "worker": ("Deliver only, beside servers on the same PostgreSQL.", "serve:worker"),
}
_HIDDEN = ("role",)
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Lazy(click.Group):
    """Lists the commands without importing any of them."""

    def list_commands(self, _: click.Context) -> list[str]:
        return [name for name in sorted(_GROUPS) if name not in _HIDDEN]

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in _GROUPS:
            return None
        module, attribute = (*_GROUPS[name][1].split(":"), "command")[:2]
        command: click.Command = getattr(importlib.import_module(f"ringback.cli.{module}"), attribute)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _GROUPS[name][0]) for name in sorted(_GROUPS) if name not in _HIDDEN])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ringback")
def ringback() -> None:
    """Ringback: the server side of a mobile app.

    Exit codes: 0 done, 1 refused (the reason is on stderr), 2 wrong usage.
    """


def main() -> None:
    """The entry point: what cannot be done is one line on stderr and exit code 1."""
    from ringback.errors import RingbackError

    _open_streams()
    try:
        try:
            ringback.main(prog_name="ringback")
        finally:
            sys.stdout.flush()  # what cannot be written is told of here, not when the interpreter goes
    except RingbackError as error:
        click.echo(f"ringback: {error.message}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _DISK_IS_FULL:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for the rest of it, which the interpreter tries once more
        click.echo(f"ringback: cannot write: {error.strerror}.", err=True)
        sys.exit(1)


def _open_streams() -> None:
    """Streams that are closed lead nowhere, and nothing else, such as a database, gets their descriptors.

    A letter that the terminal does not know ends no command.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115 - for as long as we run
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
