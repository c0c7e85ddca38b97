"""The vault key as `vault/unlock` hands it out. Source: PowerAuth specification, "Secure Vault"."""

from __future__ import annotations

from ringback.protocols.powerauth.errors import DecryptionRefused, VaultKeyRefused
from ringback.protocols.powerauth.primitives import ZERO_IV, aes_cbc_decrypt, aes_cbc_encrypt


def encrypt_vault_key(transport_key: bytes, vault_key: bytes) -> bytes:
    """encryptedVaultEncryptionKey, 32 bytes: KEY_ENCRYPTION_VAULT (16 bytes) under KEY_TRANSPORT, zero IV."""
    return aes_cbc_encrypt(transport_key, ZERO_IV, vault_key)


def decrypt_vault_key(transport_key: bytes, encrypted: bytes) -> bytes:
    """KEY_ENCRYPTION_VAULT, 16 bytes. Raises VaultKeyRefused."""
    try:
        vault_key = aes_cbc_decrypt(transport_key, ZERO_IV, encrypted) if len(encrypted) == 32 else b""
    except DecryptionRefused:
        raise VaultKeyRefused from None
    if len(vault_key) != 16:
        raise VaultKeyRefused
    return vault_key
