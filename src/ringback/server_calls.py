"""The part of `server.py` that constructs what calls go through: directory of SIP, wake-ups, the SIP listeners."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.installation import Installation


@dataclass(frozen=True)
class CallParts:
    """What was made."""


def wire_calls(installation: Installation) -> CallParts:
    """Constructs it, lowest first."""
    return CallParts()


@contextlib.asynccontextmanager
async def take_calls(installation: Installation, calls: CallParts) -> AsyncIterator[Sequence[str]]:
    """Listens for SIP as the settings say; gives the addresses, as `transport:HOST:PORT`. Raises StartRefused."""
    yield []
