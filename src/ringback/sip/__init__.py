"""The SIP endpoint: sockets, transactions, limits. It knows no calls, as `http2` knows no pushes.

A `SipEndpoint` listens on UDP, TCP and TLS and gives each new request once to its handler, as an `IncomingRequest`;
repetitions, CANCEL, PRACK, wrong and too many messages are its own business. It sends requests and follows each to its
final answer. The protocol itself is in `ringback.protocols.sip`, without sockets and clock.

Sources: RFC 3261 (SIP), RFC 3262 (PRACK), RFC 3581 (rport), RFC 5626 §3.5.1 (keep-alives), RFC 6026 (INVITE), RFC 6665
(subscriptions).
"""

from __future__ import annotations

from ringback.protocols.sip.subscription import Notification
from ringback.protocols.sip.transactions import Timers
from ringback.sip.authenticated import Authenticator, SipPassword
from ringback.sip.client import OutgoingTransaction
from ringback.sip.counters import SipCounters
from ringback.sip.endpoint import SipEndpoint
from ringback.sip.incoming import IncomingRequest
from ringback.sip.limits import Trusted
from ringback.sip.model import HERE, SipAddress, SipFailure, SipLimits, SipTimeout, SipUnreachable
from ringback.sip.needs import SipHandler
from ringback.sip.resolve import is_address, next_hop
from ringback.sip.subscriber import Subscription, SubscriptionRefused, Subscriptions
from ringback.sip.wheel import NEVER_DUE, Wheel

__all__ = [
    "HERE",
    "NEVER_DUE",
    "Authenticator",
    "IncomingRequest",
    "Notification",
    "OutgoingTransaction",
    "SipAddress",
    "SipCounters",
    "SipEndpoint",
    "SipFailure",
    "SipHandler",
    "SipLimits",
    "SipPassword",
    "SipTimeout",
    "SipUnreachable",
    "Subscription",
    "SubscriptionRefused",
    "Subscriptions",
    "Timers",
    "Trusted",
    "Wheel",
    "is_address",
    "next_hop",
]
