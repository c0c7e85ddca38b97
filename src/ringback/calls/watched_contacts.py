"""What the proxy's NOTIFYs say about a callee's contacts (RFC 3680), and whether one registered since."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.protocols.sip.reginfo import RegisteredContact

_ROUNDING_SECONDS = 1.5
"""A lifetime is told in whole seconds, so the same binding told twice may seem to end a little later."""


class _Known(NamedTuple):
    """What was told of an active contact: when it ends, and by which REGISTER."""

    ends: float
    call_id: str | None
    cseq: int | None


_NOBODY: dict[tuple[str, str], _Known] = {}
"""What is known of most callees that are called; nothing is ever put into it."""


class WatchedContacts:
    """The active contacts of one callee, as far as the proxy has told them."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] | None = None

    @property
    def told(self) -> bool:
        """Whether anything was told yet."""
        return self._known is not None

    @property
    def active(self) -> bool:
        """Whether somebody is registered."""
        return bool(self._known)

    def take_nothing(self) -> None:
        """A NOTIFY without a body: the proxy has never seen the callee, or keeps silent. What was told stays."""
        if self._known is None:
            self._known = _NOBODY

    def take(self, contacts: Iterable[RegisteredContact], *, full: bool, now: float) -> RegisteredContact | None:
        """Takes what a NOTIFY says; returns a contact that is active and was not before, or was registered again.

        `full`: it tells every contact, not only those that changed. `now`: a steady clock, in seconds. Of a contact
        that tells neither its lifetime nor its last REGISTER, only the first time counts.
        """
        before = self._known or {}
        after = {} if full else dict(before)
        newest = None
        for contact in contacts:
            key = (contact.id, contact.uri)
            if contact.state != "active":
                after.pop(key, None)
                continue
            ends = math.inf if contact.expires is None else now + contact.expires
            now_known = after[key] = _Known(ends, contact.call_id, contact.cseq)
            if _is_newer(now_known, before.get(key)):
                newest = contact
        self._known = after or _NOBODY
        return newest


def _is_newer(now: _Known, before: _Known | None) -> bool:
    """Whether there was a REGISTER in between."""
    if before is None or now.ends > before.ends + _ROUNDING_SECONDS:
        return True
    return now[1:] != before[1:] and now.cseq is not None
