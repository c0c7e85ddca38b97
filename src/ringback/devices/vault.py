"""Unlocking the vault: a phone gets the key of what it keeps sealed.

Source: PowerAuth specification, "Secure Vault".
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from ringback.devices.envelopes import ProvenRequest, decode_opened, open_signed, prove_signed
from ringback.devices.model import Registration, SignatureCheck
from ringback.devices.schema_sealed import UnlockedVault, UnlockVault
from ringback.errors import EncryptionFailed, MobileError, VaultRefused
from ringback.principal import device
from ringback.protocols.powerauth.ecies import SH1_VAULT_UNLOCK, EciesResponse
from ringback.protocols.powerauth.vault import encrypt_vault_key

if TYPE_CHECKING:
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.keys import RegistrationKeys
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.signatures import Signatures
    from ringback.protocols.powerauth.headers import SignatureHeader
    from ringback.store import Store, Tx

URI_ID = "/pa/vault/unlock"
WITH_KNOWLEDGE = frozenset({"possession_knowledge", "possession_knowledge_biometry"})
NOT_SPECIFIED = "NOT_SPECIFIED"


class VaultRequests:
    """Hands out vault keys. `with_biometry`: the person need not know the PIN."""

    def __init__(
        self,
        *,
        signatures: Signatures,
        encryption: Encryption,
        keys: RegistrationKeys,
        lifecycle: Lifecycle,
        with_biometry: bool,
    ) -> None:
        self._signatures = signatures
        self._encryption = encryption
        self._keys = keys
        self._lifecycle = lifecycle
        self._allowed = WITH_KNOWLEDGE | {"possession_biometry"} if with_biometry else WITH_KNOWLEDGE

    async def unlock(self, store: Store, header: SignatureHeader, body: bytes) -> EciesResponse:
        """vault/unlock. Raises SignatureInvalid, SignatureTypeInvalid, EncryptionFailed, VaultRefused."""
        opened = await open_signed(store, self._encryption, header, body, SH1_VAULT_UNLOCK)
        result = await store.write(self._unlock, header, body, opened)
        if opened is None or not isinstance(result, Registration):
            raise EncryptionFailed if isinstance(result, Registration) else result
        keys = self._keys.derived(result)
        if keys is None:
            raise VaultRefused
        encrypted = encrypt_vault_key(keys.transport, keys.vault)
        return self._encryption.seal(opened, UnlockedVault(base64.b64encode(encrypted).decode("ascii")))

    async def _unlock(
        self, tx: Tx, header: SignatureHeader, body: bytes, opened: OpenedRequest | None
    ) -> Registration | type[MobileError]:
        """Unit: the check, and the audit row that says what for."""
        check = SignatureCheck("POST", URI_ID, header, body)
        proven = await prove_signed(tx, self._encryption, self._signatures, check, opened, allowed_types=self._allowed)
        if not isinstance(proven, ProvenRequest):
            return proven
        asked = decode_opened(proven.plaintext, UnlockVault)
        if asked is None:
            return VaultRefused
        registration = proven.registration
        details = {"reason": asked.reason or NOT_SPECIFIED, "signatureType": proven.signature_type}
        await self._lifecycle.record(tx, device(registration.id), "vault.unlock", registration, details)
        return registration
