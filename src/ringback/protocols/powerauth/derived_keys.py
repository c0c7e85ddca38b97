"""Keys that both sides derive from KEY_MASTER_SECRET. Source: PowerAuth specification, "Key Derivation"."""

from __future__ import annotations

import msgspec

from ringback.protocols.powerauth.primitives import kdf

INDEX_POSSESSION = 1
INDEX_KNOWLEDGE = 2
INDEX_BIOMETRY = 3
INDEX_TRANSPORT = 1000
INDEX_VAULT = 2000
INDEX_TRANSPORT_IV = 3000
INDEX_TRANSPORT_CTR = 4000


class ActivationKeys(msgspec.Struct, frozen=True):
    """The five keys of one activation, 16 bytes each."""

    possession: bytes
    knowledge: bytes
    biometry: bytes
    transport: bytes
    vault: bytes

    def __repr__(self) -> str:
        """Names no key, so that none reaches a log."""
        return "ActivationKeys(…)"


def derive_activation_keys(master_secret: bytes) -> ActivationKeys:
    """All keys of an activation from its 16-byte KEY_MASTER_SECRET ("Key Derivation")."""
    return ActivationKeys(
        possession=kdf(master_secret, INDEX_POSSESSION),
        knowledge=kdf(master_secret, INDEX_KNOWLEDGE),
        biometry=kdf(master_secret, INDEX_BIOMETRY),
        transport=kdf(master_secret, INDEX_TRANSPORT),
        vault=kdf(master_secret, INDEX_VAULT),
    )


def transport_iv(transport_key: bytes) -> bytes:
    """KEY_TRANSPORT_IV, 16 bytes: makes the IV of the status blob ("Activation Status")."""
    return kdf(transport_key, INDEX_TRANSPORT_IV)


def transport_ctr(transport_key: bytes) -> bytes:
    """KEY_TRANSPORT_CTR, 16 bytes: hides the counter in the status blob ("Activation Status")."""
    return kdf(transport_key, INDEX_TRANSPORT_CTR)
