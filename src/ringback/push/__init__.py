"""Pushes: one notification to one push token.

`Pushes.queue` writes a push and its delivery in the caller's unit of work. The outbox hands the delivery to
`PushChannel`, which gives it to the provider of the push token's kind, and the push ends DELIVERED, or FAILED with a
reason that a person can read. `LocalProvider` is the provider for phones that keep a connection open to this server
instead of going through Apple, Google or Huawei: it writes what it was given into a mailbox per registration
(`LocalMailbox`), from which the stream reads, in order.
"""

from __future__ import annotations

from ringback.push.apns import ApnsProvider
from ringback.push.call_lane import CallPushes, NewCallPush
from ringback.push.channel import PushChannel
from ringback.push.content import CallContent, Content, LiveActivity
from ringback.push.credentials import (
    HEALTH,
    ApnsCertificate,
    ApnsTokenKey,
    Credential,
    CredentialKind,
    CredentialSource,
    Environment,
    FcmServiceAccount,
    Form,
    Health,
    StoredCredential,
    TrialAnswer,
    WebPushKeys,
    destination_of,
    from_secret,
    kind_of,
    uncompressed_point,
)
from ringback.push.farewells import PUSHKIT, Farewell, farewell_content
from ringback.push.fcm import FcmProvider
from ringback.push.fitting import PayloadTooLarge
from ringback.push.left_calls import LeftCalls
from ringback.push.local import LocalMailbox, LocalProvider, wake_channel
from ringback.push.makers import ProviderMakers, ProviderUrls
from ringback.push.model import LIVE_ACTIVITY, LocalPush, NewPush, Push
from ringback.push.model_tokens import KEEP, Keep, PushToken, TokenOwner
from ringback.push.payloads import unusable_extra
from ringback.push.pools import PoolSettings, provider_tls
from ringback.push.provider_tokens import ProviderTokens
from ringback.push.room import check_room
from ringback.push.service import CHANNELS, Pushes
from ringback.push.tokens import PushTokens
from ringback.push.trials import CredentialTrials
from ringback.push.webpush import WebPushProvider

__all__ = [
    "CHANNELS",
    "HEALTH",
    "KEEP",
    "LIVE_ACTIVITY",
    "PUSHKIT",
    "ApnsCertificate",
    "ApnsProvider",
    "ApnsTokenKey",
    "CallContent",
    "CallPushes",
    "Content",
    "Credential",
    "CredentialKind",
    "CredentialSource",
    "CredentialTrials",
    "Environment",
    "Farewell",
    "FcmProvider",
    "FcmServiceAccount",
    "Form",
    "Health",
    "Keep",
    "LeftCalls",
    "LiveActivity",
    "LocalMailbox",
    "LocalProvider",
    "LocalPush",
    "NewCallPush",
    "NewPush",
    "PayloadTooLarge",
    "PoolSettings",
    "ProviderMakers",
    "ProviderTokens",
    "ProviderUrls",
    "Push",
    "PushChannel",
    "PushToken",
    "PushTokens",
    "Pushes",
    "StoredCredential",
    "TokenOwner",
    "TrialAnswer",
    "WebPushKeys",
    "WebPushProvider",
    "check_room",
    "destination_of",
    "farewell_content",
    "from_secret",
    "kind_of",
    "provider_tls",
    "uncompressed_point",
    "unusable_extra",
    "wake_channel",
]
