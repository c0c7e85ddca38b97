"""A phone in software: a PowerAuth 3.3 client over real HTTP. It plays the demo, it tests the server, it makes load.

`Phone` is what an app's owner holds: activate, approve, reject, sign, receive pushes. Its code shares nothing with the
server but the primitives of `ringback.protocols`: where both halves of a message exist, the phone uses the client's.
`enrolment`, `client` and `wire` are the protocol without I/O; `state` is what a phone remembers and how safely;
`load` sends prepared requests with little cost of its own.
"""

from __future__ import annotations

from ringback.softphone.client import POSSESSION, PhoneStatus, Unlock
from ringback.softphone.errors import (
    ActivationRefused,
    BiometryOff,
    CodeRefused,
    ConfigurationRefused,
    FactorsRefused,
    MacTokenRefused,
    NotActivated,
    OperationUnknown,
    PhoneError,
    PinNeeded,
    RefusedByServer,
    ServerNotGenuine,
    ServerUnreachable,
    SignatureRefused,
    StateUnusable,
)
from ringback.softphone.phone import Activated, Phone
from ringback.softphone.push_stream import Push, PushStream
from ringback.softphone.state import MemoryState, PhoneState, StateFile, StateKeeper
from ringback.softphone.wire import PhoneOperation

__all__ = [
    "POSSESSION",
    "Activated",
    "ActivationRefused",
    "BiometryOff",
    "CodeRefused",
    "ConfigurationRefused",
    "FactorsRefused",
    "MacTokenRefused",
    "MemoryState",
    "NotActivated",
    "OperationUnknown",
    "Phone",
    "PhoneError",
    "PhoneOperation",
    "PhoneState",
    "PhoneStatus",
    "PinNeeded",
    "Push",
    "PushStream",
    "RefusedByServer",
    "ServerNotGenuine",
    "ServerUnreachable",
    "SignatureRefused",
    "StateFile",
    "StateKeeper",
    "StateUnusable",
    "Unlock",
]
