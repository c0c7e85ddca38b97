"""What this room needs from others, as narrow as it can be; `server.py` passes the real ones."""

from __future__ import annotations

from typing import Protocol

from ringback.push import StoredCredential, TrialAnswer
from ringback.store import Tx


class Urls(Protocol):
    """Who knows which URLs the server may call."""

    def check_url(self, url: str) -> None:
        """Raises DestinationNotAllowed."""
        ...


class Waiting(Protocol):
    """What waits to be delivered."""

    async def hurry(self, tx: Tx, channel: str, destination: str) -> None:
        """Makes due at once what waits for a destination, in the caller's unit of work."""
        ...


class Trials(Protocol):
    """Who can ask push providers."""

    async def try_out(self, stored: StoredCredential) -> TrialAnswer:
        """What the provider says of a credential; no phone notices."""
        ...
