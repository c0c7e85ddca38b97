"""The named SQL: placeholders, columns, and when commands may travel together."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ringback.errors import StartRefused
from ringback.store import Command, PostgresLocation, Query, SqliteLocation, columns, locate
from ringback.store.compose import compose
from tests.store.units import add_counter, add_entry, save_counter, spend


class Pair(msgspec.Struct):
    left: str
    right: int


def test_columns_follow_the_struct() -> None:
    assert columns(Pair) == "left, right"
    assert columns(Pair, "p") == "p.left, p.right"


def test_placeholders_are_translated_but_not_quoted_ones() -> None:
    query = Query("q", "p", "SELECT '$1', \"$2\", $2, $1 -- $3\n")
    assert query.sqlite == "SELECT '$1', \"$2\", ?2, ?1 -- $3\n"
    assert query.postgres == "SELECT '$1', \"$2\", $2, $1 -- $3\n"


def test_commands_are_checked_when_they_are_made() -> None:
    with pytest.raises(ValueError, match="use a Query"):
        Command("c", "p", "INSERT INTO a(b) VALUES ($1) RETURNING b")
    with pytest.raises(ValueError, match="use a Query"):
        Command("c", "p", "SELECT 1")
    with pytest.raises(ValueError, match="otherwise"):
        Command("c", "p", "DELETE FROM a", otherwise=LookupError)


def test_independent_commands_travel_together() -> None:
    composed = compose((save_counter, add_entry, add_entry, spend))
    assert composed is not None
    assert "$9" in composed.sql
    assert "VALUES ($4, $5, $6, $7)" in composed.sql
    assert "VALUES ($12, $13)" in composed.sql


@pytest.mark.parametrize(
    "commands",
    [
        (add_counter, save_counter),
        (save_counter, save_counter),
        (spend, spend),
        (add_entry, Command("copy", "p", "INSERT INTO counters(id) SELECT id FROM entries")),
        (add_entry,) * 25,
    ],
)
def test_commands_whose_order_matters_do_not(commands: tuple[Command, ...]) -> None:
    assert compose(commands) is None


def test_the_database_is_where_the_settings_say() -> None:
    assert locate(None, Path("/data")) == SqliteLocation(Path("/data/ringback.db"))
    assert locate("sqlite:////srv/a.db", Path("/data")) == SqliteLocation(Path("/srv/a.db"))
    assert locate("sqlite:///a.db", Path("/data")) == SqliteLocation(Path("a.db"))
    assert locate("postgres://u:p@h/d", Path()) == PostgresLocation("postgresql://u:p@h/d")
    assert "p" * 9 not in repr(PostgresLocation("postgresql://u:" + "p" * 9 + "@h/d"))
    with pytest.raises(StartRefused):
        locate("mysql://h/d", Path())
