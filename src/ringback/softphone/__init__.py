"""A phone in software: a client of PowerAuth 3.0 to 3.3 over HTTP. It plays the demo, tests the server, makes load.

`Phone` is what an app's owner holds: activate, approve, reject, sign, receive pushes. Its code shares nothing with the
server but the primitives of `ringback.protocols`: where both halves of a message exist, the phone uses the client's.
`enrolment`, `client` and `wire` are the protocol without I/O; `state` is what a phone remembers and how safely;
`load` sends prepared requests with little cost of its own.
"""

from __future__ import annotations

from ringback.softphone.client import POSSESSION, PhoneStatus, Unlock
from ringback.softphone.detail import PhoneDetail
from ringback.softphone.errors import (
    ActivationRefused,
    BiometryOff,
    CodeRefused,
    ConfigurationRefused,
    FactorNotAllowedOffline,
    FactorsRefused,
    InboxMessageUnknown,
    MacTokenRefused,
    NotActivated,
    OperationLinkRefused,
    OperationUnknown,
    PhoneError,
    PinNeeded,
    QrRefused,
    RecoveryRefused,
    RefusedByServer,
    ServerNotGenuine,
    ServerUnreachable,
    SignatureRefused,
    StateUnusable,
)
from ringback.softphone.inbox import InboxItem, InboxMessage
from ringback.softphone.offline import OfflineAnswer
from ringback.softphone.phone import Activated, Phone
from ringback.softphone.push_stream import Push, PushStream
from ringback.softphone.state import MemoryState, PhoneState, StateFile, StateKeeper
from ringback.softphone.wire import ActivationRecovery, PhoneOperation

__all__ = [
    "POSSESSION",
    "Activated",
    "ActivationRecovery",
    "ActivationRefused",
    "BiometryOff",
    "CodeRefused",
    "ConfigurationRefused",
    "FactorNotAllowedOffline",
    "FactorsRefused",
    "InboxItem",
    "InboxMessage",
    "InboxMessageUnknown",
    "MacTokenRefused",
    "MemoryState",
    "NotActivated",
    "OfflineAnswer",
    "OperationLinkRefused",
    "OperationUnknown",
    "Phone",
    "PhoneDetail",
    "PhoneError",
    "PhoneOperation",
    "PhoneState",
    "PhoneStatus",
    "PinNeeded",
    "Push",
    "PushStream",
    "QrRefused",
    "RecoveryRefused",
    "RefusedByServer",
    "ServerNotGenuine",
    "ServerUnreachable",
    "SignatureRefused",
    "StateFile",
    "StateKeeper",
    "StateUnusable",
    "Unlock",
]
