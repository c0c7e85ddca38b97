"""Preferences on the command line, the same for domains and for subscribers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
NAMES = ("mobile_push_enable", "mobile_push_expiry", "prompt", "prompt_loop")
_ENABLE = ("never", "always", "no_reg", "only_push", "reg_then_push", "push_then_reg")
_OLD = ("true", "false", "1", "0")
"""What it was when it was a boolean: `always` and `never`."""


def preference_options(function: F) -> F:
    """Adds an option for each preference, and `--inherit` for what is not to be said any more."""
    for option in (
        click.option("--inherit", type=click.Choice(NAMES), multiple=True, help="Leave it to the level above."),
        click.option("--prompt-loop/--no-prompt-loop", default=None, help="The prompt begins again when it is over."),
        click.option("--prompt", help="Name of the WAV file, beside RINGBACK_SIP_PROMPT, that callers hear."),
        click.option("--mobile-push-expiry", type=click.IntRange(5, 600), help="Seconds that a phone has to wake."),
        click.option(
            "--mobile-push-enable",
            type=click.Choice((*_ENABLE, *_OLD)),
            help="Whether and when calls wake phones; true and 1 are always, false and 0 are never.",
        ),
    ):
        function = option(function)
    return function


def said_preferences(options: dict[str, Any]) -> dict[str, Any]:
    """What the options say, by name; None = nothing any more."""
    said = {name: options[name] for name in NAMES if options[name] is not None}
    return said | dict.fromkeys(options["inherit"])


def preference_lines(held: dict[str, Any]) -> list[str]:
    """What holds and who decided it, a line each."""
    return [f"{name:<19} {_word(held[name])}  ({held['decided_by'][name]})" for name in NAMES]


def _word(value: Any) -> str:
    if value is None:
        return "-"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
