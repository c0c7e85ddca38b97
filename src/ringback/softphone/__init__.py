"""A phone in software: a client of PowerAuth 3.0 to 3.3 over HTTP. It plays the demo, tests the server, makes load.

`Phone` is what an app's owner holds: activate, approve, reject, sign, receive pushes. Its code shares nothing with the
server but the primitives of `ringback.protocols`: where both halves of a message exist, the phone uses the client's.
`enrolment`, `client` and `wire` are the protocol without I/O; `state` is what a phone remembers and how safely;
`load` sends prepared requests with little cost of its own.

`SipPhone` is the telephone in it: registers, calls, is called; `waking` puts both together, a phone that a push wakes
for a call. `sip_load` is thousands of them, without the comfort.
"""

from __future__ import annotations

from ringback.softphone.call_push import read_push
from ringback.softphone.client import POSSESSION, PhoneStatus, Unlock
from ringback.softphone.detail import PhoneDetail
from ringback.softphone.errors import (
    ActivationRefused,
    BiometryOff,
    CallMoveImpossible,
    CallPushUnreadable,
    CallUnknown,
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
    RegisterRefused,
    ServerNotGenuine,
    ServerUnreachable,
    SignatureRefused,
    SipAccountMissing,
    SipAccountRefused,
    SipServerUnreachable,
    StateUnusable,
)
from ringback.softphone.inbox import InboxItem, InboxMessage
from ringback.softphone.offline import OfflineAnswer
from ringback.softphone.phone import Activated, Phone
from ringback.softphone.push_stream import Push, PushStream
from ringback.softphone.sip_account import SipAccount, checked_account, read_address
from ringback.softphone.sip_call import PhoneCall
from ringback.softphone.sip_incoming import IncomingCall
from ringback.softphone.sip_keeping import keep_account
from ringback.softphone.sip_outgoing import OutgoingCall
from ringback.softphone.sip_phone import SipPhone
from ringback.softphone.sip_states import CallMove, CallState, meaning
from ringback.softphone.state import MemoryState, PhoneState, StateFile, StateKeeper
from ringback.softphone.waking import Answering, CallTold, answer_calls, make_call, take_call, wakened
from ringback.softphone.wire import ActivationRecovery, PhoneOperation

__all__ = [
    "POSSESSION",
    "Activated",
    "ActivationRecovery",
    "ActivationRefused",
    "Answering",
    "BiometryOff",
    "CallMove",
    "CallMoveImpossible",
    "CallPushUnreadable",
    "CallState",
    "CallTold",
    "CallUnknown",
    "CodeRefused",
    "ConfigurationRefused",
    "FactorNotAllowedOffline",
    "FactorsRefused",
    "InboxItem",
    "InboxMessage",
    "InboxMessageUnknown",
    "IncomingCall",
    "MacTokenRefused",
    "MemoryState",
    "NotActivated",
    "OfflineAnswer",
    "OperationLinkRefused",
    "OperationUnknown",
    "OutgoingCall",
    "Phone",
    "PhoneCall",
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
    "RegisterRefused",
    "ServerNotGenuine",
    "ServerUnreachable",
    "SignatureRefused",
    "SipAccount",
    "SipAccountMissing",
    "SipAccountRefused",
    "SipPhone",
    "SipServerUnreachable",
    "StateFile",
    "StateKeeper",
    "StateUnusable",
    "Unlock",
    "answer_calls",
    "checked_account",
    "keep_account",
    "make_call",
    "meaning",
    "read_address",
    "read_push",
    "take_call",
    "wakened",
]
