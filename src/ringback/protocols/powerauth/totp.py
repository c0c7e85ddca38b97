"""One-time passwords of the proximity check. Source: RFC 6238 (TOTP) with SHA-256, RFC 4226 §5.3 (truncation)."""

from __future__ import annotations

import hmac
import re

DIGITS = 8
SEED_BYTES = 32
_OTP = re.compile(r"[0-9]{8}", re.ASCII)


def totp(seed: bytes, at_seconds: int, step_seconds: int) -> str:
    """The OTP of the time step that `at_seconds` (Unix time) lies in (RFC 6238 §4.2): 8 decimal digits."""
    mac = hmac.digest(seed, (at_seconds // step_seconds).to_bytes(8, "big"), "sha256")
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def acceptable_otps(seed: bytes, at_seconds: int, step_seconds: int, steps_back: int = 1) -> tuple[str, ...]:
    """The OTPs that may be shown at this time (RFC 6238 §5.2): of this step, then of the steps before it."""
    first = at_seconds // step_seconds
    return tuple(totp(seed, (first - n) * step_seconds, step_seconds) for n in range(min(steps_back, first) + 1))


def verify_totp(otp: str, seed: bytes, at_seconds: int, step_seconds: int, steps_back: int = 1) -> bool:
    """Whether `otp` is one of the acceptable ones. Compared in constant time; anything malformed is simply False."""
    if _OTP.fullmatch(otp) is None:
        return False
    matches = [
        hmac.compare_digest(otp, acceptable)
        for acceptable in acceptable_otps(seed, at_seconds, step_seconds, steps_back)
    ]
    return any(matches)
