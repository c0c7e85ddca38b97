"""What a connection needs of whoever owns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ringback.http2.connection import Connection
    from ringback.http2.exchange import Exchange


class Owner(Protocol):
    """The pool, as its connections see it."""

    def on_places(self) -> None:
        """Some stream has ended, or more are allowed."""
        ...

    def on_retired(self, connection: Connection) -> None:
        """The connection takes no more requests."""
        ...

    def on_lost(self, connection: Connection, reason: str) -> None:
        """The connection is no more; its requests are settled."""
        ...

    def on_proved(self) -> None:
        """A connection brought its first answer."""
        ...

    def is_spare(self, connection: Connection) -> bool:
        """Whether the pool can do without this connection, which nobody has used for a while."""
        ...

    def take_back(self, exchanges: list[Exchange], reason: str, goaway_debug: bytes | None) -> None:
        """Requests, in their order, that went out and were provably not processed."""
        ...
