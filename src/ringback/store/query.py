"""Named SQL. One text serves both databases: `$1 … $n` placeholders, `TRUE`/`FALSE`, `ON CONFLICT`, `RETURNING`.

A `Query` returns rows, a `Command` changes rows and returns nothing. Both carry a name, for logs and metrics, and a
purpose, for the reader.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast, overload

import msgspec

from ringback.errors import Conflict

T = TypeVar("T")
Row = tuple[Any, ...]

# Quoted text and comments are matched first, so that a `$1` inside them stays as it is.
_PLACEHOLDER = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|\$(\d+)")
_RETURNING = re.compile(r"\bRETURNING\b", re.IGNORECASE)
_TARGET = re.compile(r"\s*(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+\"?(\w+)\"?", re.IGNORECASE)
_BOOLEAN_ANNOTATIONS = (bool, bool | None, "bool", "bool | None", "None | bool")


def columns(row: type[msgspec.Struct], table: str = "") -> str:
    """The fields of a Struct as a column list, in the order of its constructor; with `table`, `table.column`."""
    prefix = f"{table}." if table else ""
    return ", ".join(prefix + field for field in row.__struct_fields__)


def places(count: int) -> str:
    """`$1, $2 …`: as many placeholders."""
    return ", ".join(f"${number}" for number in range(1, count + 1))


def fields_of(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What a text that is run for each of some rows is given of a row: these fields, at least two, as `$1`, `$2` ….

    PostgreSQL is given all rows at once, as a JSON list in `$1`; SQLite would need six times as long to read that.
    """
    if len(names) > 1:
        return attrgetter(*names)

    def refuse(_: Any) -> tuple[Any, ...]:
        msg = "a text that is run for each of some rows says each= which fields of a row it is given"
        raise ValueError(msg)

    return refuse


def renumber(sql: str, marker: str, shift: int = 0) -> str:
    """Replaces every placeholder `$n` by `marker` and `n + shift`."""

    def replace(match: re.Match[str]) -> str:
        number = match.group(1)
        return match.group(0) if number is None else f"{marker}{int(number) + shift}"

    return _PLACEHOLDER.sub(replace, sql)


def parameter_count(sql: str) -> int:
    """How many arguments a text takes: its highest placeholder."""
    return max((int(match.group(1)) for match in _PLACEHOLDER.finditer(sql) if match.group(1)), default=0)


class Query(Generic[T]):
    """A named SELECT, or with `writes=True` an INSERT, UPDATE or DELETE with RETURNING.

    `row` is called with the columns positionally: a Struct class, or any callable; without it rows are tuples. Fields
    annotated `bool` are made booleans on SQLite, which stores 0 and 1.
    `locks`: when a unit runs again after a Conflict, PostgreSQL locks the rows (`FOR UPDATE` is appended).
    `postgres`: the text for PostgreSQL, where the dialects must differ.
    `each`: for `Tx.all_for`, see `fields_of`.
    """

    @overload
    def __init__(
        self: Query[Row],
        name: str,
        purpose: str,
        sql: str,
        *,
        row: None = None,
        locks: bool = False,
        writes: bool = False,
        each: Sequence[str] = (),
        postgres: str | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        purpose: str,
        sql: str,
        *,
        row: Callable[..., T],
        locks: bool = False,
        writes: bool = False,
        each: Sequence[str] = (),
        postgres: str | None = None,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        purpose: str,
        sql: str,
        *,
        row: Callable[..., T] | None = None,
        locks: bool = False,
        writes: bool = False,
        each: Sequence[str] = (),
        postgres: str | None = None,
    ) -> None:
        self.name = name
        self.purpose = purpose
        self.row = row
        self.locks = locks
        self.writes = writes
        self.arguments = fields_of(each)
        self.sqlite = renumber(sql, "?")
        self.postgres = postgres or sql
        self.postgres_locking = self.postgres + (" FOR UPDATE" if locks else "")

    def __repr__(self) -> str:
        return f"Query({self.name})"

    def from_postgres(self, values: Sequence[Any]) -> T:
        """One row of PostgreSQL as the caller wants it."""
        return cast("T", tuple(values)) if self.row is None else self.row(*values)

    def from_sqlite(self, values: Sequence[Any]) -> T:
        """One row of SQLite as the caller wants it."""
        if self.row is None:
            return cast("T", values)
        if self._boolean_positions:
            converted = list(values)
            for position in self._boolean_positions:
                if converted[position] is not None:
                    converted[position] = bool(converted[position])
            return self.row(*converted)
        return self.row(*values)

    @cached_property
    def _boolean_positions(self) -> tuple[int, ...]:
        row = self.row
        if not (isinstance(row, type) and issubclass(row, msgspec.Struct)):
            return ()
        annotations: dict[str, Any] = {}
        for base in reversed(row.__mro__):
            annotations.update(inspect.get_annotations(base))
        fields = row.__struct_fields__
        return tuple(n for n, field in enumerate(fields) if annotations.get(field) in _BOOLEAN_ANNOTATIONS)


class Command:
    """A named INSERT, UPDATE or DELETE that returns nothing.

    `expect_one`: exactly one row must change, or the whole unit is undone: with `otherwise`, by raising it; without, by
    a Conflict, upon which the store runs the unit again.
    `postgres`: the text for PostgreSQL, where the dialects must differ. `each`: for `Tx.run_for`, see `fields_of`.
    """

    __slots__ = (
        "arguments", "expect_one", "name", "otherwise", "parameters", "postgres", "purpose", "sqlite", "table", "verb",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        purpose: str,
        sql: str,
        *,
        expect_one: bool = False,
        otherwise: Callable[[], Exception] | None = None,
        each: Sequence[str] = (),
        postgres: str | None = None,
    ) -> None:
        if otherwise is not None and not expect_one:
            msg = f"{name}: otherwise= says what to raise when expect_one=True finds no row"
            raise ValueError(msg)
        target = _TARGET.match(postgres or sql)
        if target is None or _RETURNING.search(sql):
            msg = f"{name}: a Command is one insert, update or delete without RETURNING; else use a Query"
            raise ValueError(msg)
        self.name = name
        self.purpose = purpose
        self.expect_one = expect_one
        self.arguments = fields_of(each)
        self.otherwise = otherwise
        self.sqlite = renumber(sql, "?")
        self.postgres = postgres or sql
        self.parameters = parameter_count(self.postgres)
        self.verb = target.group(1).split()[0].upper()
        self.table = target.group(2).lower()

    def __repr__(self) -> str:
        return f"Command({self.name})"

    def refusal(self) -> Exception:
        """What to raise when `expect_one` did not find its row."""
        return self.otherwise() if self.otherwise is not None else Conflict(f"{self.name} did not find its row.")
