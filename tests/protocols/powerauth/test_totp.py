"""The OTP of the proximity check."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ringback.protocols.powerauth.totp import acceptable_otps, totp, verify_totp

SEED = b"12345678901234567890123456789012"
STEP = 30


@pytest.mark.vectors
def test_public_vectors(vector_folder: Path) -> None:
    """RFC 6238, appendix B; those with SHA-256, which is the one that phones and servers use."""
    lines = (vector_folder / "totp.csv").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines[1:]) if row]
    checked = [(int(at), otp, bytes.fromhex(seed)) for at, _, _, otp, kind, seed in rows if kind == "HmacSHA256"]
    assert len(checked) == 6
    for at, otp, seed in checked:
        assert totp(seed, at, STEP) == otp
        assert verify_totp(otp, seed, at, STEP)


def test_the_first_example_of_the_rfc() -> None:
    assert totp(SEED, 59, STEP) == "46119246"
    assert totp(SEED, 1_111_111_109, STEP) == "68084774"


@pytest.mark.parametrize(("later", "valid"), [(-1, False), (0, True), (29, True), (30, True), (59, True), (60, False)])
def test_an_otp_lives_for_its_step_and_the_next(later: int, valid: bool) -> None:
    otp = totp(SEED, 1_200, STEP)
    assert verify_totp(otp, SEED, 1_200 + later, STEP) is valid


def test_without_a_step_before_the_first() -> None:
    assert acceptable_otps(SEED, 3, STEP) == (totp(SEED, 0, STEP),)


@pytest.mark.parametrize("otp", ["", "4611924", "461192460", "4611924x", "\u0664" * 8, "46119246\n"])
def test_what_is_no_otp_is_wrong(otp: str) -> None:
    assert not verify_totp(otp, SEED, 59, STEP)
