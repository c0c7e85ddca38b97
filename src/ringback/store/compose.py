"""Many commands as one PostgreSQL statement: one round trip, one implicit transaction.

Each command becomes a data-modifying CTE. The outer SELECT counts, in the order of the unit, the rows that each command
changed; a command with `expect_one` that did not change exactly one makes it fail with a text that names the command,
which undoes everything. All parts see the database as it was before the statement, so commands that build on each other
must not be put together: `compose` says None for these, and they are sent one by one in a transaction.
(PostgreSQL manual, "Data-Modifying Statements in WITH".)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from ringback.store.query import Command, renumber

MAX_COMMANDS = 24
_REFUSED = "ringback-refused-"
_REFUSED_COMMAND = re.compile(_REFUSED + r"(\d+)-")
_WORD = re.compile(r"\w+")


class Composed(msgspec.Struct, frozen=True):
    """One statement for a tuple of commands; its arguments are theirs, one after the other."""

    sql: str


def refused_command(message: str) -> int | None:
    """Which command an error of a composed statement is about, counted from 0; None when it is another error."""
    match = _REFUSED_COMMAND.search(message)
    return int(match.group(1)) if match else None


def compose(commands: Sequence[Command]) -> Composed | None:
    """The commands as one statement, or None when their order matters."""
    if len(commands) > MAX_COMMANDS or _order_matters(commands):
        return None
    last_guard = max((n for n, command in enumerate(commands) if command.expect_one), default=-1)
    parts = []
    guards = []
    shift = 0
    for n, command in enumerate(commands):
        sql = renumber(command.postgres.rstrip("; \n"), "$", shift)
        shift += command.parameters
        if n <= last_guard:
            sql += "\nRETURNING 1"
            count = f"(SELECT count(*) FROM c{n})"  # noqa: S608 - made of a number of our own
            # The failing cast is built from a subselect: a constant would fail already when the statement is planned.
            # Unguarded commands are counted too, so that errors come in the order in which the unit wrote.
            guards.append(
                f"WHEN {count} <> 1 THEN CAST('{_REFUSED}{n}-' || {count} AS integer)"
                if command.expect_one
                else f"WHEN {count} < 0 THEN 0",
            )
        # On lines of their own, in case the text ends with a comment.
        parts.append(f"c{n} AS ({sql}\n)")
    outer = f"SELECT CASE {' '.join(guards)} END" if guards else "SELECT"
    return Composed(f"WITH {', '.join(parts)} {outer}")


def _order_matters(commands: Sequence[Command]) -> bool:
    """Whether a later command may see or touch what an earlier one wrote. In doubt it does."""
    for n, later in enumerate(commands):
        words: set[str] | None = None
        for earlier in commands[:n]:
            if earlier.table == later.table:
                if not (_only_inserts(earlier) and _only_inserts(later)):
                    return True
            else:
                words = words if words is not None else _words(later)
                if earlier.table in words:
                    return True
    return False


def _only_inserts(command: Command) -> bool:
    """Whether the command is an INSERT of given values that looks at no other row."""
    return command.verb == "INSERT" and not _words(command) & {"select", "conflict"}


def _words(command: Command) -> set[str]:
    return set(_WORD.findall(command.postgres.lower()))
