"""Answering without a network: reads the QR text, checks who signed it, and gives the digits to type.

Source: PowerAuth specification, "Offline Signatures"; Mobile Token API, "Off-line Signature QR Code". As with online
signatures the state **after** the signature must be saved before anybody sees the digits.
"""

from __future__ import annotations

import msgspec

from ringback.protocols.powerauth.errors import PowerAuthProtocolError
from ringback.protocols.powerauth.keys import public_key_from_bytes
from ringback.protocols.powerauth.offline_qr import (
    BIOMETRY,
    MASTER_KEY,
    OFFLINE_URI,
    OfflineOperation,
    OfflineQr,
    parse_offline_qr,
    parse_operation,
)
from ringback.protocols.powerauth.primitives import next_counter
from ringback.protocols.powerauth.signature import OFFLINE_SECRET, compute_components, format_offline, normalized_data
from ringback.softphone.client import Unlock, factor_keys_of
from ringback.softphone.configuration import read_configuration
from ringback.softphone.errors import FactorNotAllowedOffline, QrRefused
from ringback.softphone.state import PhoneState

FACTORS = 2


class OfflineRequest(msgspec.Struct, frozen=True):
    """What a genuine QR text asks. `operation`: None when the data are none of an operation."""

    qr: OfflineQr
    operation: OfflineOperation | None

    @property
    def signed_data(self) -> bytes:
        """What the phone signs."""
        return (self.qr.data if self.operation is None else self.operation.signed_data(self.qr.totp)).encode()


class OfflineAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What the person reads on the phone; `code`: 8 digits for each factor, joined by `-`."""

    title: str
    message: str
    data: str
    code: str

    @property
    def grouped(self) -> str:
        """The digits as people type them: 4-4-4-4."""
        digits = self.code.replace("-", "")
        return "-".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def read_offline_qr(state: PhoneState, text: str) -> OfflineRequest:
    """The request in a QR text, after the signature of the app's or of this phone's server key. Raises QrRefused."""
    try:
        qr = parse_offline_qr(text)
        master = read_configuration(state.sdk_config).master_public
        signer = master if qr.key_kind == MASTER_KEY else public_key_from_bytes(state.server_public_key)
    except PowerAuthProtocolError as error:
        raise QrRefused(cause=error) from error
    if not qr.is_genuine(signer):
        raise QrRefused("This QR code was not made by this app's server. Do not use it.")
    try:
        return OfflineRequest(qr, parse_operation(qr.data))
    except PowerAuthProtocolError:
        return OfflineRequest(qr, None)


def answer_offline(
    state: PhoneState, request: OfflineRequest, unlock: Unlock, uri_id: str = OFFLINE_URI
) -> tuple[PhoneState, OfflineAnswer]:
    """The state with the next counter, and the digits. Raises FactorNotAllowedOffline, BiometryOff."""
    operation = request.operation
    keys = factor_keys_of(state, unlock)
    forbidden = unlock.biometry and operation is not None and BIOMETRY not in operation.flags
    if len(keys) != FACTORS or forbidden:
        raise FactorNotAllowedOffline
    data = normalized_data("POST", uri_id, request.qr.nonce, request.signed_data, OFFLINE_SECRET)
    code = format_offline(compute_components(keys, state.counter_data, data))
    advanced = msgspec.structs.replace(state, counter=state.counter + 1, counter_data=next_counter(state.counter_data))
    shown = operation or OfflineOperation("", "", "", request.qr.data, "")
    return advanced, OfflineAnswer(shown.title, shown.message, shown.data, code)
