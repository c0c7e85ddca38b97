"""The upgrade of a registration from protocol 2 to 3. Source: PowerAuth specification, "Activation Upgrade".

Every registration here was made in protocol 3, so there is never anything to upgrade: requests are checked as always,
and then refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ringback.devices.envelopes import open_encrypted
from ringback.devices.model import POSSESSION, SignatureCheck
from ringback.errors import RequestInvalid, SignatureInvalid, UpgradeRefused
from ringback.protocols.powerauth.ecies import SH1_UPGRADE

if TYPE_CHECKING:
    from ringback.devices.encryption import Encryption
    from ringback.devices.model import SignatureOutcome
    from ringback.devices.signatures import Signatures
    from ringback.protocols.powerauth.headers import EncryptionHeader, SignatureHeader
    from ringback.store import Store, Tx

URI_ID = "/pa/upgrade/commit"
_ALLOWED = frozenset({POSSESSION})


class UpgradeRequests:
    """Refuses upgrades."""

    def __init__(self, *, signatures: Signatures, encryption: Encryption) -> None:
        self._signatures = signatures
        self._encryption = encryption

    async def start(self, store: Store, header: EncryptionHeader, body: bytes) -> NoReturn:
        """upgrade/start. Raises EncryptionFailed, else UpgradeRefused."""
        await open_encrypted(store, self._encryption, header, body, SH1_UPGRADE)
        raise UpgradeRefused

    async def commit(self, store: Store, header: SignatureHeader, body: bytes) -> NoReturn:
        """upgrade/commit. Raises RequestInvalid, SignatureInvalid, SignatureTypeInvalid, else UpgradeRefused."""
        if not body:
            raise RequestInvalid
        outcome = await store.write(self._commit, header, body)
        if not outcome.valid:
            raise SignatureInvalid
        raise UpgradeRefused

    async def _commit(self, tx: Tx, header: SignatureHeader, body: bytes) -> SignatureOutcome:
        """Unit: the check, with its marks."""
        check = SignatureCheck("POST", URI_ID, header, body)
        return await self._signatures.check(tx, check, allowed_types=_ALLOWED, only_apps=None)
