"""The encrypted activation status. Source: PowerAuth specification, "Checking Activation Status"."""

from __future__ import annotations

import msgspec

from ringback.protocols.powerauth.derived_keys import transport_ctr, transport_iv
from ringback.protocols.powerauth.errors import DecryptionRefused, StatusBlobRefused
from ringback.protocols.powerauth.primitives import aes_cbc_decrypt_raw, aes_cbc_encrypt_raw, kdf_internal

MAGIC = bytes.fromhex("dec0ded1")
RESERVED_BYTES = 5


class StatusBlob(msgspec.Struct, frozen=True):
    """Contents of the blob; every number is one byte."""

    status: int
    """1 created, 2 pending commit, 3 active, 4 blocked, 5 removed."""
    current_version: int
    upgrade_version: int
    counter_byte: int
    """Lowest byte of the numeric counter."""
    failed_attempts: int
    max_failed_attempts: int
    look_ahead: int
    """1–64."""
    counter_hash: bytes
    """16 bytes, see `counter_hash`."""


def status_iv(transport_key: bytes, challenge: bytes | None, nonce: bytes | None) -> bytes:
    """STATUS_IV, 16 bytes ("Checking Activation Status"). challenge, nonce: 16 bytes, else StatusBlobRefused.

    Phones of 3.0 know neither; without both the IV is zero.
    """
    if challenge is None and nonce is None:
        return bytes(16)
    if challenge is None or nonce is None or len(challenge) != 16 or len(nonce) != 16:
        raise StatusBlobRefused
    return kdf_internal(transport_iv(transport_key), challenge + nonce)


def counter_hash(transport_key: bytes, ctr_data: bytes) -> bytes:
    """CTR_DATA_HASH, 16 bytes ("Checking Activation Status"): lets the phone compare counters without seeing ours."""
    return kdf_internal(transport_ctr(transport_key), ctr_data)


def build_status_blob(
    transport_key: bytes,
    challenge: bytes | None,
    nonce: bytes | None,
    status: StatusBlob,
    *,
    reserved: bytes = bytes(RESERVED_BYTES),
) -> bytes:
    """The encrypted blob, 32 bytes ("Checking Activation Status"). Raises StatusBlobRefused for a wrong length.

    reserved: bytes that no phone reads; random ones where the IV is zero, or equal blobs would show an equal status.
    """
    if len(status.counter_hash) != 16 or len(reserved) != RESERVED_BYTES:
        raise StatusBlobRefused
    plain = (
        MAGIC
        + bytes((status.status, status.current_version, status.upgrade_version))
        + reserved
        + bytes((status.counter_byte, status.failed_attempts, status.max_failed_attempts, status.look_ahead))
        + status.counter_hash
    )
    return aes_cbc_encrypt_raw(transport_key, status_iv(transport_key, challenge, nonce), plain)


def parse_status_blob(transport_key: bytes, challenge: bytes | None, nonce: bytes | None, blob: bytes) -> StatusBlob:
    """What the phone reads ("Checking Activation Status"). Raises StatusBlobRefused on a wrong magic or length.

    The blob has no MAC: only the magic says that the key was right.
    """
    if len(blob) != 32:
        raise StatusBlobRefused
    try:
        plain = aes_cbc_decrypt_raw(transport_key, status_iv(transport_key, challenge, nonce), blob)
    except DecryptionRefused:
        raise StatusBlobRefused from None
    if plain[:4] != MAGIC:
        raise StatusBlobRefused
    status, current, upgrade = plain[4:7]
    return StatusBlob(status, current, upgrade, plain[12], plain[13], plain[14], plain[15], plain[16:])
