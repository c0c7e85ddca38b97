"""The phone in a file: the options and the output that the commands of `ringback phone` share."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ringback.softphone import Phone

T = TypeVar("T")

state_option = click.option(
    "--state",
    "state_file",
    envvar="RINGBACK_PHONE",
    default="ringback-phone.json",
    show_default=True,
    type=click.Path(dir_okay=False),
    help="The phone's file (or RINGBACK_PHONE).",
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON value.")


def run_phone(state_file: str, action: Callable[[Phone], Awaitable[T]]) -> T:
    """One action on the phone in the file; PhoneError goes up to the command line's one line on stderr."""
    return asyncio.run(_act(state_file, action))


def run_phone_until_sigterm(state_file: str, action: Callable[[Phone], Awaitable[T]]) -> T:
    """`run_phone` for an action that takes long, see `run_until_sigterm`."""
    return run_until_sigterm(_act(state_file, action))


def run_until_sigterm(action: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`; SIGTERM ends it as Ctrl-C does: a call is hung up, the phone unregisters. Exit code 143 then."""

    async def act() -> T:
        task = asyncio.current_task()
        assert task is not None  # a coroutine that runs is in one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await action

    try:
        return asyncio.run(act())
    except asyncio.CancelledError:
        raise click.exceptions.Exit(128 + signal.SIGTERM) from None


async def _act(state_file: str, action: Callable[[Phone], Awaitable[T]]) -> T:
    from ringback.softphone import Phone, StateFile

    async with Phone(StateFile(state_file)) as phone:
        return await action(phone)


def tell(text: str, value: object, *, as_json: bool) -> None:
    """A sentence for people, or the value for scripts."""
    if as_json:
        print_json(value)
    else:
        click.echo(text)


def print_json(value: object) -> None:
    """For scripts."""
    import msgspec

    click.echo(msgspec.json.encode(value))


def print_rows(rows: list[tuple[str, str]]) -> None:
    """Names and values, below each other."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {value}")
