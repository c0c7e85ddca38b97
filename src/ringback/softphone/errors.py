"""What can go wrong on the phone's side, one class per thing that its owner can do about it.

PhoneError
├── NotActivated            there is no phone in this file yet
├── StateUnusable           the file is there but cannot be used
├── ConfigurationRefused    the SDK configuration string is not one
├── CodeRefused             the activation code or QR code is not genuine
├── PinNeeded               the request is signed with a PIN and none was given
├── BiometryOff             the phone was activated without biometry
├── ServerUnreachable       no answer came
├── ServerNotGenuine        an answer came that the real server cannot have sent
├── OperationUnknown        the operation is not in this phone's list
├── InboxMessageUnknown     the message is not in this phone's inbox
├── OperationLinkRefused    the link or QR code does not lead to an operation
├── QrRefused               the QR code of an offline request is not genuine
├── FactorNotAllowedOffline these factors cannot answer an offline request
├── SipAccountMissing       the phone has no SIP account
├── SipAccountRefused       the SIP account, or a SIP address, cannot be used
├── SipServerUnreachable    no SIP answer came
├── RegisterRefused         the SIP server does not register the phone: `sip_status`
├── CallPushUnreadable      a push about a call that cannot be read
├── CallUnknown             the server knows no call of this push
├── CallMoveImpossible      this cannot be done with a call in that state
└── RefusedByServer         the server said no: `http_status`, `server_code`, `server_message`
    ├── ActivationRefused   the code is used up, expired or wrong
    ├── RecoveryRefused     the recovery code or PUK is wrong, or no longer good
    ├── FactorsRefused      these factors are not accepted here
    ├── SignatureRefused    wrong PIN, or the phone is blocked
    └── MacTokenRefused     the server does not take the phone's MAC token any more
"""

from __future__ import annotations

from ringback.errors import RingbackError


class PhoneError(RingbackError):
    """The phone could not do it."""


class NotActivated(PhoneError):
    """There is no activated phone in this file. Activate one with `ringback phone activate`."""


class StateUnusable(PhoneError):
    """The phone's file cannot be used."""


class ConfigurationRefused(PhoneError):
    """This is no SDK configuration. Copy `mobileSdkConfig` whole from the answer that created the app."""


class CodeRefused(PhoneError):
    """This activation code is not genuine. Check it for typing errors, or ask for a new one."""


class PinNeeded(PhoneError):
    """This request is signed with a PIN. Give --pin or RINGBACK_PIN, or use --biometry."""


class BiometryOff(PhoneError):
    """This phone was activated without biometry. Use the PIN."""


class ServerUnreachable(PhoneError):
    """The server does not answer. Check the URL and that the server runs."""


class ServerNotGenuine(PhoneError):
    """The answer does not come from the server that this phone was activated with. Do not go on over this network."""


class OperationUnknown(PhoneError):
    """There is no such pending operation for this phone; `ringback phone list` shows those that are."""


class InboxMessageUnknown(PhoneError):
    """There is no such message in this phone's inbox; `ringback phone inbox list` shows those that are."""


class OperationLinkRefused(PhoneError):
    """This link does not lead to an operation. It needs `oid`, and `potp` where the server asks for it."""


class QrRefused(PhoneError):
    """This is not the QR code of an offline request. Copy its whole text, with the line feeds."""


class FactorNotAllowedOffline(PhoneError):
    """This request takes one factor beside possession: the PIN, or biometry where the QR code allows it."""


class SipAccountMissing(PhoneError):
    """This phone has no SIP account. Give it one with `ringback phone sip-account`."""


class SipAccountRefused(PhoneError):
    """This is no SIP address or server. They look like sip:alice@example.org, and like HOST:PORT."""


class SipServerUnreachable(PhoneError):
    """The SIP server does not answer. Check --server and that it runs."""


class RegisterRefused(PhoneError):
    """The SIP server does not register this phone. Check the SIP account and its password."""

    def __init__(self, sip_status: int, reason: str) -> None:
        self.sip_status = sip_status
        super().__init__(f"{self.default_message()} (the server answered {sip_status} {reason})")


class CallPushUnreadable(PhoneError):
    """This push is encrypted with another key than this phone has."""


class CallUnknown(PhoneError):
    """The server knows no call that belongs to this push, or the call is over."""


class CallMoveImpossible(PhoneError):
    """This cannot be done with the call as it is now."""


class RefusedByServer(PhoneError):
    """The server refused the request."""

    def __init__(self, http_status: int, server_code: str, server_message: str, hint: str = "") -> None:
        self.http_status = http_status
        self.server_code = server_code
        self.server_message = server_message
        said = f"the server answered {http_status} {server_code}: {server_message}"
        super().__init__(f"{hint or self.default_message()} ({said})")


class ActivationRefused(RefusedByServer):
    """The server does not take this activation code: it is wrong, used or expired. Ask for a new one."""


class RecoveryRefused(RefusedByServer):
    """The server does not take this recovery code and PUK."""

    def __init__(self, http_status: int, server_code: str, server_message: str, puk_index: int | None) -> None:
        """`puk_index`: which PUK, counted from 1, it is the turn of; None when no PUK helps."""
        self.puk_index = puk_index
        hint = "" if puk_index is None else f"{self.default_message()} It is the turn of PUK number {puk_index}."
        super().__init__(http_status, server_code, server_message, hint)


class SignatureRefused(RefusedByServer):
    """The PIN was wrong, or the phone is blocked; `ringback phone status` tells."""


class FactorsRefused(RefusedByServer):
    """The server does not accept this combination of PIN and biometry here."""


class MacTokenRefused(RefusedByServer):
    """The server does not take the phone's MAC token: is the phone blocked? `ringback phone status` tells."""
