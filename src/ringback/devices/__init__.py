"""Devices: the phones of users, from the activation code to the last signature.

A registration (the phone says *activation*) is one phone of one user in one app. This room makes it, exchanges keys
with the phone, checks what the phone signs, hands out MAC tokens and keeps push tokens. Other rooms ask
`DevicesService` whether a signature (`check_signature`) or a MAC token (`check_mac_token`) is right, always inside
their own unit of work, since each check leaves a mark; likewise about the digits of an offline signature
(`check_offline_signature`); and where a user's phones are reached (`push_targets`). `read_token_header` turns a phone's
header field into what such a check takes. Who activates without a code or a PUK is asked of `OutsideIdentities`.

Protocols 3.0 to 3.3; the choices by version are in `protocols/powerauth/versions.py`. Each subject (`recovery`,
`offline`, …) has a module, and where they are needed an `api_…`, a `schema_…` and a `queries_…` beside it.
"""

from __future__ import annotations

from ringback.devices.headers import read_token_header
from ringback.devices.identity import OutsideIdentities
from ringback.devices.model import (
    DeviceLimits,
    MacTokenCheck,
    MacTokenOutcome,
    PushTarget,
    Registration,
    SignatureCheck,
    SignatureOutcome,
)
from ringback.devices.offline import (
    OFFLINE_TYPES,
    OfflineCheck,
    OfflinePayload,
    is_offline_otp,
    read_offline_nonce,
)
from ringback.devices.phone import TWO_FACTORS, WITH_POSSESSION
from ringback.devices.push_feedback import DeadPushTokens
from ringback.devices.schema_offline import VerifiedOffline, verified_offline
from ringback.devices.service import DevicesService
from ringback.devices.uds import UdsDevices

__all__ = [
    "OFFLINE_TYPES",
    "TWO_FACTORS",
    "WITH_POSSESSION",
    "DeadPushTokens",
    "DeviceLimits",
    "DevicesService",
    "MacTokenCheck",
    "MacTokenOutcome",
    "OfflineCheck",
    "OfflinePayload",
    "OutsideIdentities",
    "PushTarget",
    "Registration",
    "SignatureCheck",
    "SignatureOutcome",
    "UdsDevices",
    "VerifiedOffline",
    "is_offline_otp",
    "read_offline_nonce",
    "read_token_header",
    "verified_offline",
]
