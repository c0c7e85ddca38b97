"""What this room needs from others, as narrow as it can be; `server.py` passes the real ones."""

from __future__ import annotations

from typing import Protocol


class Urls(Protocol):
    """Who knows which URLs the server may call."""

    def check_url(self, url: str) -> None:
        """Raises DestinationNotAllowed."""
        ...
