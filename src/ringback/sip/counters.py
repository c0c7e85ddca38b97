"""What was refused, dropped or given up: one figure for each reason."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal, TypeAlias

import prometheus_client

Reason: TypeAlias = Literal[
    "malformed",
    "oversize",
    "rate",
    "calls",
    "transactions",
    "connections",
    "idle",
    "slow",
    "method",
    "extension",
    "hops",
    "loop",
    "merged",
    "draining",
    "late",
    "unmatched_response",
    "unmatched_cancel",
    "unmatched_prack",
    "unmatched_notify",
    "forged",
    "stranger",
    "wrong_password",
    "not_yours",
    "event",
    "out_of_order",
    "unreadable",
    "unacknowledged",
    "unsendable",
    "handler_failed",
]
"""malformed: not readable as SIP. oversize: too long. rate: too many from one address. calls, transactions,
connections: over the limit. idle, slow: a connection was closed. method, extension: 405, 501, 420. hops: 483. merged:
the same request by two ways. loop: our own request came back. draining: came while we stop. late: an INVITE that was
not read for so long that its caller has given up. unmatched_…: belongs to nothing here. forged: fits by its names, but
not by where it came from. stranger: not from a proxy of ours. wrong_password: a digest that proves nothing. not_yours:
proven, but for another address than its own. event: a NOTIFY of another event package. out_of_order: a NOTIFY that was
overtaken. unreadable: a NOTIFY whose body is. unacknowledged: no ACK or PRACK came. unsendable: there is no way to the
other side. handler_failed: our own mistake, see the log."""

_refused: Final = prometheus_client.Counter(
    "ringback_sip_refused", "SIP messages that were refused, dropped or given up.", ("reason",)
)
_messages: Final = prometheus_client.Counter("ringback_sip_messages", "SIP messages.", ("direction",))


class SipCounters:
    """The figures of one endpoint; `exported` ones are in /metrics as well (the software phone's are not)."""

    def __init__(self, *, exported: bool = False) -> None:
        self.refused: Counter[str] = Counter()
        self.received = 0
        self.sent = 0
        self._exported = exported
        self._shown = (0, 0)

    def refuse(self, reason: Reason) -> None:
        """One more."""
        self.refused[reason] += 1
        if self._exported:
            _refused.labels(reason).inc()

    def publish(self) -> None:
        """Brings the figures of messages to /metrics; called now and then, since a message has no time for it."""
        if self._exported:
            received, sent = self._shown
            self._shown = self.received, self.sent
            _messages.labels("in").inc(self.received - received)
            _messages.labels("out").inc(self.sent - sent)
