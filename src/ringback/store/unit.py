"""What a unit of work sees (`Tx`), and what runs units (`Store`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from ringback.store.query import Command, Query

T = TypeVar("T")

Unit = Callable[..., Awaitable[T]]
"""`async def commit_registration(tx, command) -> Outcome`: reads and writes through `tx` only and awaits nothing else,
may be run again, has no effect outside `tx`."""


class UnitMisused(RuntimeError):
    """A unit of work did something that units must not do: a mistake in the program, never the user's."""


class Tx(Protocol):
    """The database as one unit of work sees it. After an error from any of these the unit is over: never catch them."""

    async def one(self, query: Query[T], *args: Any) -> T | None:
        """The first row, or None."""
        ...

    async def all(self, query: Query[T], *args: Any) -> list[T]:
        """All rows."""
        ...

    async def all_for(self, query: Query[T], rows: Sequence[Any]) -> list[T]:
        """What a query with `each` returns for all these Structs together, in no order."""
        ...

    async def run(self, command: Command, *args: Any) -> None:
        """Changes rows, at the latest at the end of the unit.

        Raises Conflict or the command's `otherwise` when `expect_one` fails, UniqueViolation when the key is taken;
        on PostgreSQL possibly only after the unit has returned.
        """
        ...

    async def run_for(self, command: Command, rows: Sequence[Any]) -> None:
        """`run` of a command with `each`, for all these Structs."""
        ...

    def notify(self, channel: str) -> None:
        """Wakes the subscribers of `channel` in all processes after COMMIT. Only a hint: subscribers poll as well."""
        ...


class Store(Protocol):
    """A database that runs units of work."""

    async def write(self, unit: Unit[T], *args: Any) -> T:
        """Runs `await unit(tx, *args)` and returns its result after COMMIT.

        An exception of the unit undoes what it wrote and comes back as it is; after a Conflict the unit runs again.
        Raises StoreUnavailable when the database could not keep it.
        """
        ...

    async def read(self, unit: Unit[T], *args: Any) -> T:
        """Runs a unit that only reads. Each of its queries sees what was committed when it started."""
        ...

    def subscribe(self, channel: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` on the event loop after a unit notified `channel`. Returns what ends the subscription."""
        ...

    async def ping(self) -> None:
        """Returns when the database answers; raises StoreUnavailable when it does not."""
        ...

    async def close(self) -> None:
        """Finishes what is waiting, refuses what comes later with StoreUnavailable, lets go of the database."""
        ...
