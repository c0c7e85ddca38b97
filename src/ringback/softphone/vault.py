"""What the phone keeps sealed, and opens with a key that only the server has, without I/O.

Source: PowerAuth specification, "Secure Vault".
"""

from __future__ import annotations

import msgspec

from ringback.protocols.powerauth.base64_text import decode_base64
from ringback.protocols.powerauth.errors import PowerAuthProtocolError
from ringback.protocols.powerauth.keys import (
    PrivateKey,
    private_key_from_bytes,
    public_key_from_bytes,
    public_key_to_bytes,
    sign_der,
)
from ringback.protocols.powerauth.primitives import ZERO_IV, aes_cbc_decrypt_raw
from ringback.protocols.powerauth.vault import decrypt_vault_key
from ringback.softphone.errors import ServerNotGenuine
from ringback.softphone.state import PhoneState

REASONS = ("ADD_BIOMETRY", "FETCH_ENCRYPTION_KEY", "SIGN_WITH_DEVICE_PRIVATE_KEY", "RECOVERY_CODE", "NOT_SPECIFIED")
SIGN_WITH_DEVICE_KEY = "SIGN_WITH_DEVICE_PRIVATE_KEY"


class UnlockedVault(msgspec.Struct, rename="camel"):
    """Opened answer of vault/unlock."""

    encrypted_vault_encryption_key: str


def open_vault_key(state: PhoneState, answer: UnlockedVault) -> bytes:
    """KEY_ENCRYPTION_VAULT, 16 bytes. Raises ServerNotGenuine."""
    try:
        encrypted = decode_base64(answer.encrypted_vault_encryption_key, limit=32)
        return decrypt_vault_key(state.transport_key, encrypted)
    except PowerAuthProtocolError as error:
        raise ServerNotGenuine(cause=error) from error


def sign_with_device_key(state: PhoneState, vault_key: bytes, data: bytes) -> bytes:
    """SHA256withECDSA over `data` by the device's private key, DER. Raises ServerNotGenuine for a wrong vault key."""
    return sign_der(_device_private_key(state, vault_key), data)


def _device_private_key(state: PhoneState, vault_key: bytes) -> PrivateKey:
    """A wrong vault key opens to some other scalar: the public key tells."""
    try:
        key = private_key_from_bytes(aes_cbc_decrypt_raw(vault_key, ZERO_IV, state.device_private_key_sealed))
    except PowerAuthProtocolError as error:
        raise ServerNotGenuine(cause=error) from error
    known = public_key_to_bytes(public_key_from_bytes(state.device_public_key))
    if public_key_to_bytes(key.public_key()) != known:
        raise ServerNotGenuine
    return key
