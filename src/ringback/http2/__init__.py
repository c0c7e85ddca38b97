"""The HTTP/2 engine: many requests to one place, over few connections, and an honest word about each.

A `Pool` answers every request with an `Answer`, with `NotSent` (it was provably not processed) or with `OutcomeUnknown`
(it went out, and no answer came), before its deadline. The pool knows nothing of pushes: the providers for APNs and FCM
make `Request`s and read `Answer`s. The protocol itself is libnghttp2's, by `ngh2`, or `h2`'s, behind one narrow
interface (`session.py`); the same tests run over both.

Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK).
"""

from __future__ import annotations

from ringback.http2.model import (
    MOST_BODY,
    Answer,
    Backend,
    Indexing,
    NotSent,
    OutcomeUnknown,
    PoolLimits,
    Request,
    Statistics,
)
from ringback.http2.pool import Pool

__all__ = [
    "MOST_BODY",
    "Answer",
    "Backend",
    "Indexing",
    "NotSent",
    "OutcomeUnknown",
    "Pool",
    "PoolLimits",
    "Request",
    "Statistics",
]
