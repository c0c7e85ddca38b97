"""The one MetaData, and short words for the columns that every room has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, MetaData, Text

# Names by rule, so that a later migration can name what it changes.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def text(
    name: str, *, key: bool = False, optional: bool = False, to: str | None = None, default: str | None = None
) -> Column[Any]:
    """Text: an id, a name, a status, or JSON. `key`: part of the primary key. `to`: refers to `table.column`."""
    references = [] if to is None else [ForeignKey(to)]
    return Column(name, Text, *references, primary_key=key, nullable=optional, server_default=default)


def json(name: str, *, optional: bool = False, default: str | None = None) -> Column[Any]:
    """JSON, kept as text and encoded by the room."""
    return Column(name, Text, nullable=optional, server_default=default)


def number(name: str, *, key: bool = False) -> Column[Any]:
    """A small integer."""
    return Column(name, Integer, primary_key=key, nullable=False, autoincrement=False)


def moment(name: str, *, optional: bool = False) -> Column[Any]:
    """A time, in Unix milliseconds."""
    return Column(name, BigInteger, nullable=optional)


def counter(name: str) -> Column[Any]:
    """A large integer."""
    return Column(name, BigInteger, nullable=False)


def flag(name: str) -> Column[Any]:
    """A boolean."""
    return Column(name, Boolean, nullable=False)


def blob(name: str, *, key: bool = False, optional: bool = False) -> Column[Any]:
    """Bytes; a name that ends in `_sealed` says that the vault sealed them."""
    return Column(name, LargeBinary, primary_key=key, nullable=optional)
