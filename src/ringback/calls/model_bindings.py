"""A binding: where a phone of a subscriber says that it can be reached, and what a REGISTER wants of it."""

from __future__ import annotations

from typing import Literal

import msgspec

MOST_BINDINGS = 10
"""Of one subscriber; a newer one takes the place of the one that was heard of longest ago."""


class Binding(msgspec.Struct, frozen=True):
    """A binding as it is stored (RFC 3261 §10.3). Times in Unix milliseconds.

    `contact`: the URI without the parameters of RFC 8599. `instance`: +sip.instance as it was written, `reg_id`: 0
    without one (RFC 5626 §4.2). `q`: the phone's own preference, as text. `source`: `transport:host:port` that the
    REGISTER came from. `push_token_id`: what wakes this phone. `refresh_pushed_at`: when it was woken to register
    again.
    """

    id: str
    subscriber_id: str
    contact: str
    instance: str | None
    reg_id: int
    q: str | None
    call_id: str
    cseq: int
    user_agent: str | None
    source: str
    push_token_id: str | None
    registered_at: int
    expires_at: int
    refresh_pushed_at: int | None
    version: int

    def seconds_left(self, now_ms: int) -> int:
        """How long it still counts, rounded up."""
        return max(0, -(-(self.expires_at - now_ms) // 1000))


class WantedPush(msgspec.Struct, frozen=True):
    """What a Contact says of a push service that an app of ours has a credential for (RFC 8599 §4.1)."""

    app_id: str
    kind: str
    push_token: str

    def __repr__(self) -> str:
        """Without the push token."""
        return f"WantedPush({self.kind} of {self.app_id})"


class WantedBinding(msgspec.Struct, frozen=True):
    """One Contact of a REGISTER, checked. `expires_seconds`: 0 = to be removed. `pushes`: best to ring first."""

    contact: str
    instance: str | None
    reg_id: int
    q: str | None
    expires_seconds: int
    pushes: tuple[WantedPush, ...] = ()


class Registering(msgspec.Struct, frozen=True):
    """A REGISTER of a subscriber that has proven who it is. `remove_all`: its Contact was `*`."""

    subscriber_id: str
    user_id: str
    call_id: str
    cseq: int
    user_agent: str | None
    source: str
    wanted: tuple[WantedBinding, ...] = ()
    remove_all: bool = False


Refusal = Literal["out of order"]


class Registered(msgspec.Struct, frozen=True):
    """What became of it: the bindings that there are now, newest first; or why nothing was changed."""

    bindings: tuple[Binding, ...] = ()
    refusal: Refusal | None = None


class Refreshable(msgspec.Struct, frozen=True):
    """A binding that ends soon, of a phone that can be woken to renew it."""

    id: str
    version: int
    push_token_id: str
    subscriber_id: str
    expires_at: int
