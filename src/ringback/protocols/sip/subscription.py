"""A subscription, as the one who subscribed sees it. Source: RFC 6665 §4.1, §4.4; the package `reg` is RFC 3680.

A machine as in `transactions`: no socket, no clock. It says which SUBSCRIBE to send next, judges each NOTIFY, and when
it wants to be called again. Only one dialog comes of it: NOTIFYs of others, to which a proxy may have forked the
SUBSCRIBE, get 481.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache
from typing import Final, NamedTuple

from ringback.protocols.sip.dialog import Dialog
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.header_fields import Headers
from ringback.protocols.sip.headers import parse_number, parse_parameters
from ringback.protocols.sip.message import Request, Response
from ringback.protocols.sip.transactions import NEVER

LINGER_SECONDS: Final = 40.0
"""How long NOTIFYs are still expected after we unsubscribed: 64*T1 of the one that they answer, and some."""
_LARGEST: Final = 2**32 - 1
_WORD: Final = re.compile(r"[ \t]*+([^;\s]++)[ \t]*+(.*)")


class SubscriptionState(NamedTuple):
    """The header field of that name (§8.2.3). state, reason: in lower case; reason "" when there is none."""

    state: str
    reason: str
    expires: int | None
    retry_after: int | None


class Notification(NamedTuple):
    """What a NOTIFY said. state: "active", "pending" or "terminated"."""

    state: str
    reason: str
    body: bytes
    content_type: str


class Judgement(NamedTuple):
    """What to answer, and what to tell the one who subscribed, None when it is nothing new to them."""

    status: int
    told: Notification | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Phase(enum.Enum):
    """Where a subscription stands."""

    ASKING = "asking"
    """The first SUBSCRIBE is not answered yet; NOTIFYs may come all the same."""
    LIVING = "living"
    """It was accepted, or a NOTIFY came."""
    LEAVING = "leaving"
    """We have unsubscribed; what still comes is answered, and told to nobody."""
    OVER = "over"
    """Nothing of it is known any more."""


@lru_cache(maxsize=256)
def parse_subscription_state(value: str) -> SubscriptionState:
    """Reads Subscription-State. Raises SipMalformed."""
    word, parameters = _word_and_parameters(value, "Malformed Subscription-State")
    return SubscriptionState(
        word,
        (parameters.get("reason") or "").lower(),
        parse_number(parameters.get("expires") or "", _LARGEST),
        parse_number(parameters.get("retry-after") or "", _LARGEST),
    )


class Subscriber:
    """One subscription. `call_id` and `tag` name it; `local` is the URI in From, `target` the one that is watched."""

    __slots__ = (
        "_accept", "_dialog", "_ends_at", "_expires", "_local", "_number", "_target",
        "call_id", "due", "event", "phase", "tag",
    )  # fmt: skip

    def __init__(
        self, *, event: str, target: str, local: str, call_id: str, tag: str, expires: int, accept: str = ""
    ) -> None:
        self.event = event
        self.call_id = call_id
        self.tag = tag
        self.phase = Phase.ASKING
        self.due = NEVER
        """When to send the next SUBSCRIBE, or, while leaving, when to forget it all."""
        self._target = target
        self._local = f"<{local}>;tag={tag}"
        self._accept = accept
        self._expires = expires
        self._number = 0
        self._dialog: Dialog | None = None
        self._ends_at = NEVER

    @property
    def routes(self) -> tuple[str, ...]:
        """The route set, once there is a dialog."""
        return self._dialog.routes if self._dialog is not None else ()

    @property
    def first_hop(self) -> str:
        """The URI of the first hop, once there is a dialog."""
        return self._dialog.first_hop if self._dialog is not None else self._target

    def subscribe(self, expires: int | None = None) -> Request:
        """The next SUBSCRIBE; `expires` 0 unsubscribes."""
        self._number += 1
        wanted = self._expires if expires is None else expires
        extra = [("Event", self.event), ("Expires", str(wanted))]
        if self._accept:
            extra.append(("Accept", self._accept))
        if self._dialog is not None:
            return self._dialog.request("SUBSCRIBE", number=self._number, headers=extra)
        own = [("From", self._local), ("To", f"<{self._target}>"), ("Call-ID", self.call_id)]
        return Request("SUBSCRIBE", self._target, Headers([*own, ("CSeq", f"{self._number} SUBSCRIBE"), *extra]))

    def sent(self, number: int) -> None:
        """The request went out with this number of CSeq: a higher one, when a password was asked for."""
        self._number = max(self._number, number)

    def wants_longer(self, response: Response) -> bool:
        """Whether a 423 says for how long one may subscribe, and that is what is wanted from now on (§4.1.2.3)."""
        if response.status != 423:
            return False
        least = parse_number(response.headers.get("Min-Expires") or "", _LARGEST)
        if least is None or not self._expires < least <= 86_400:
            return False
        self._expires = least
        return True

    def accepted(self, response: Response, now: float) -> None:
        """A SUBSCRIBE that did not unsubscribe was answered 2xx. Raises SipMalformed."""
        if self.phase in {Phase.LEAVING, Phase.OVER}:
            return
        self.phase = Phase.LIVING
        if self._dialog is None:
            self._dialog = Dialog.as_caller(self._as_sent(), response)
        granted = response.expires
        self._lasts(self._expires if granted is None else min(granted, self._expires), now)

    def notified(self, notify: Request, now: float) -> Judgement:
        """A NOTIFY with our Call-ID and tag came, from where it may come. Raises SipMalformed, to be answered 400."""
        if self.phase is Phase.OVER or (
            self._dialog is not None and self._dialog.remote_tag not in {None, notify.from_tag}
        ):
            return Judgement(481)
        event = notify.headers.get("Event") or ""
        if event != self.event and not self._is_ours(event):
            return Judgement(489, headers=(("Allow-Events", self.event),))
        state = parse_subscription_state(notify.headers.get("Subscription-State") or "")
        if self._dialog is None or self._dialog.remote_tag is None:
            self._dialog = Dialog.as_callee(notify, self.tag, local_number=self._number)
        elif self._dialog.takes(notify):
            self._dialog.moved(notify)
        else:
            return Judgement(500, headers=(("Retry-After", "1"),))
        left = self.phase is Phase.LEAVING
        if state.state == "terminated":
            self.phase, self.due = Phase.OVER, NEVER
        elif not left:
            self.phase = Phase.LIVING
            if state.expires is not None:
                self._lasts(min(state.expires, self._expires), now)
        if left:
            return Judgement(200)
        content_type = notify.headers.get("Content-Type") or ""
        return Judgement(200, Notification(state.state, state.reason, notify.body, content_type))

    def _is_ours(self, event: str) -> bool:
        """Raises SipMalformed."""
        word, parameters = _word_and_parameters(event, "Malformed Event")
        return word == self.event.lower() and not parameters.get("id")

    def left(self, now: float) -> bool:
        """We unsubscribe. False when there is nothing to unsubscribe from."""
        if self.phase in {Phase.LEAVING, Phase.OVER}:
            return False
        self.phase = Phase.LEAVING
        self.due = now + LINGER_SECONDS
        return True

    def ended(self) -> None:
        """It was refused, or the other side knows nothing of it: NOTIFYs get 481 from now on."""
        self.phase, self.due = Phase.OVER, NEVER

    def is_expired(self, now: float) -> bool:
        """Whether refreshing it has failed for so long that the other side has forgotten it."""
        return now >= self._ends_at

    def refresh_again(self, now: float) -> None:
        """A refresh had no answer: once more, but not after the end (§4.1.2.2)."""
        self.due = min(now + max(1.0, (self._ends_at - now) / 2), self._ends_at)

    def _lasts(self, seconds: int, now: float) -> None:
        """Refreshed after four fifths of the time, and at least five seconds early where there are as many."""
        self._ends_at = now + seconds
        self.due = now + max(min(0.8 * seconds, seconds - 5), 0.5 * seconds, 0.5)

    def _as_sent(self) -> Request:
        """What of the first SUBSCRIBE a dialog is made of."""
        fields = [("From", self._local), ("Call-ID", self.call_id), ("CSeq", f"{self._number} SUBSCRIBE")]
        return Request("SUBSCRIBE", self._target, Headers(fields))


def _word_and_parameters(value: str, problem: str) -> tuple[str, dict[str, str | None]]:
    found = _WORD.fullmatch(value)
    if found is None:
        raise SipMalformed(problem)
    return found[1].lower(), parse_parameters(found[2])
