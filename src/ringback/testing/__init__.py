"""Doubles of the push providers: real TLS and HTTP/2 on this machine, with the manners and the moods of the originals.

Users start them by `ringback testing providers`; the demo and the tests of Ringback use them as well. Nothing here
shares code with the server that it stands opposite to: the HTTP/2 is that of `h2`, the rules are written down anew.

    async with ApnsDouble(folder) as apns:
        apns.script(device_token, [reject("Unregistered")])
        ...
        [push] = await apns.wait_for(1, push_token=device_token)
"""

from ringback.testing.apns import PREFIXES as APNS_PREFIXES
from ringback.testing.apns import ApnsDouble
from ringback.testing.apns_key import ApnsKey
from ringback.testing.apns_rules import STATUSES as APNS_STATUSES
from ringback.testing.behaviour import (
    ACCEPT,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    REFUSED_STREAM,
    Behaviour,
    GoAway,
    drop,
    go_away,
    reject,
    reset,
    silence,
    slow,
    stream_limit,
)
from ringback.testing.certificates import Authority, CertificateFiles
from ringback.testing.fcm import BAD_REQUEST, FcmDouble
from ringback.testing.fcm import PREFIXES as FCM_PREFIXES
from ringback.testing.fcm_rules import STATUSES as FCM_STATUSES
from ringback.testing.google_tokens import ServiceAccount
from ringback.testing.providers import Providers
from ringback.testing.reading import is_encrypted, title_of
from ringback.testing.record import Received
from ringback.testing.web_push import Subscription, WebPushDouble

__all__ = [
    "ACCEPT",
    "APNS_PREFIXES",
    "APNS_STATUSES",
    "BAD_REQUEST",
    "FCM_PREFIXES",
    "FCM_STATUSES",
    "INITIAL_WINDOW_SIZE",
    "MAX_CONCURRENT_STREAMS",
    "REFUSED_STREAM",
    "ApnsDouble",
    "ApnsKey",
    "Authority",
    "Behaviour",
    "CertificateFiles",
    "FcmDouble",
    "GoAway",
    "Providers",
    "Received",
    "ServiceAccount",
    "Subscription",
    "WebPushDouble",
    "drop",
    "go_away",
    "is_encrypted",
    "reject",
    "reset",
    "silence",
    "slow",
    "stream_limit",
    "title_of",
]
