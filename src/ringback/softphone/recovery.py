"""Recovery codes as the phone knows them, without I/O. Source: PowerAuth specification, "Activation Recovery"."""

from __future__ import annotations

import msgspec

from ringback.protocols.powerauth.ecies import EciesResponse
from ringback.protocols.powerauth.errors import InvalidRecoveryCode
from ringback.protocols.powerauth.recovery_code import parse_puk, parse_recovery_code
from ringback.softphone.encrypted import finish_encrypted
from ringback.softphone.enrolment import PendingActivation
from ringback.softphone.errors import CodeRefused
from ringback.softphone.wire import ActivationLayer1, ActivationLayer2, ActivationRecovery

RECOVERY = "RECOVERY"
"""The type of an activation by recovery code."""


class RecoveryConfirmed(msgspec.Struct, frozen=True, rename="camel"):
    """Opened answer of recovery/confirm."""

    already_confirmed: bool


class SpawnedActivation(msgspec.Struct, frozen=True, rename="camel"):
    """An activation code for another app."""

    activation_id: str
    activation_code: str
    activation_signature: str


def recovery_identity(recovery_code: str, puk: str) -> dict[str, str]:
    """The identity attributes for what a person typed, or for the text of the QR code. Raises CodeRefused."""
    code = "".join(recovery_code.split()).upper()
    try:
        return {"recoveryCode": parse_recovery_code(code), "puk": parse_puk(puk.strip())}
    except InvalidRecoveryCode as error:
        raise CodeRefused("This recovery code or PUK is not genuine. Check it for typing errors.") from error


def told_recovery(pending: PendingActivation, answer: EciesResponse) -> ActivationRecovery | None:
    """What the phone was told to write down with its activation; None in an app without recovery.

    Raises ServerNotGenuine.
    """
    layer1 = finish_encrypted(pending.outer, answer, ActivationLayer1)
    envelope = msgspec.convert(layer1.activation_data, EciesResponse)
    return finish_encrypted(pending.inner, envelope, ActivationLayer2).activation_recovery
