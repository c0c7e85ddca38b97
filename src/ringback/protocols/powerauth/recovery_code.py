"""Recovery codes and their PUKs. Source: PowerAuth specification, "Activation Recovery", "Recovery Postcard"."""

from __future__ import annotations

import re
from collections.abc import Callable

from ringback.protocols.powerauth.activation_code import generate_activation_code, is_activation_code
from ringback.protocols.powerauth.errors import InvalidRecoveryCode

QR_PREFIX = "R:"
"""What tells the QR code of a recovery code from that of an activation code; there is no signature."""

PUK_DIGITS = 10
_PUK = re.compile(r"[0-9]{10}", re.ASCII)
_MASKED_GROUPS = 3


def generate_recovery_code(random: Callable[[int], bytes]) -> str:
    """A new code: alphabet, checksum and grouping are those of activation codes ("Format of Recovery Code")."""
    return generate_activation_code(random)


def generate_puks(random: Callable[[int], bytes], count: int) -> list[str]:
    """`count` different PUKs of ten digits ("Format of Recovery PUK"), in the order in which they are to be used."""
    puks: dict[str, None] = {}
    while len(puks) < count:
        # 128 bits, so that no number is likelier than another by more than one part in 10^28.
        puks[f"{int.from_bytes(random(16), 'big') % 10**PUK_DIGITS:0{PUK_DIGITS}}"] = None
    return list(puks)


def is_recovery_code(text: str) -> bool:
    """Whether `text` is a code in its one canonical spelling with a right checksum."""
    return is_activation_code(text)


def is_puk(text: str) -> bool:
    """Whether `text` is ten ASCII digits without a separator."""
    return _PUK.fullmatch(text) is not None


def build_recovery_qr(code: str) -> str:
    """Text of the QR code: `R:CODE` ("Format of Recovery Code")."""
    return QR_PREFIX + code


def parse_recovery_code(text: str) -> str:
    """The code in a QR text, or in what a person typed with or without the prefix. Raises InvalidRecoveryCode."""
    code = text.removeprefix(QR_PREFIX)
    if not is_recovery_code(code):
        raise InvalidRecoveryCode
    return code


def parse_puk(text: str) -> str:
    """The ten digits of a PUK, which is printed as two groups with a dash. Raises InvalidRecoveryCode."""
    digits = text.replace("-", "").replace(" ", "")
    if not is_puk(digits):
        raise InvalidRecoveryCode
    return digits


def mask_recovery_code(code: str) -> str:
    """What may be shown later: only the last group, five bits and the checksum, such as `XXXXX-XXXXX-XXXXX-ABCDE`."""
    groups = code.split("-")
    return "-".join(["X" * len(group) for group in groups[:_MASKED_GROUPS]] + groups[_MASKED_GROUPS:])
