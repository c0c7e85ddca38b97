"""What a phone is called: it asks, and it changes its name.

Source: PowerAuth RESTful API, activation detail and rename.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.devices import queries
from ringback.devices.envelopes import ProvenRequest, decode_opened, open_encrypted, open_signed, prove_signed
from ringback.devices.model import MacTokenCheck, SignatureCheck
from ringback.devices.phone import TWO_FACTORS
from ringback.devices.schema_sealed import ActivationDetail, ActivationDetailAnswer, RenameActivation
from ringback.errors import (
    ActivationInvalid,
    EncryptionFailed,
    MacTokenInvalid,
    MobileError,
    SignatureTypeInvalid,
)
from ringback.principal import device
from ringback.protocols.powerauth.ecies import SH1_ACTIVATION, EciesResponse

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.mac_tokens import MacTokens
    from ringback.devices.signatures import Signatures
    from ringback.protocols.powerauth.headers import EncryptionHeader, SignatureHeader
    from ringback.store import Store, Tx

RENAME_URI_ID = "/pa/activation/rename"


class DetailRequests:
    """Reads and changes the name of a phone's registration."""

    def __init__(
        self,
        *,
        clock: Clock,
        signatures: Signatures,
        mac_tokens: MacTokens,
        encryption: Encryption,
        lifecycle: Lifecycle,
    ) -> None:
        self._clock = clock
        self._signatures = signatures
        self._mac_tokens = mac_tokens
        self._encryption = encryption
        self._lifecycle = lifecycle

    async def read(self, store: Store, check: MacTokenCheck, header: EncryptionHeader, body: bytes) -> EciesResponse:
        """activation/detail. Raises EncryptionFailed, MacTokenInvalid; SignatureTypeInvalid for one factor."""
        opened = await open_encrypted(store, self._encryption, header, body, SH1_ACTIVATION)
        return self._answer(opened, await store.write(self._read, check, header.activation_id, opened))

    async def _read(
        self, tx: Tx, check: MacTokenCheck, registration_id: str, opened: OpenedRequest
    ) -> ActivationDetail | type[MobileError]:
        """Unit: the MAC token must be of the phone that encrypted, and have been made with two factors."""
        replayed = await self._encryption.is_replay(tx, opened)
        registration = await tx.one(queries.registration_by_id, registration_id)
        outcome = await self._mac_tokens.check(tx, check, only_apps=None)
        if not outcome.valid or registration is None or outcome.registration_id != registration.id:
            return MacTokenInvalid
        if outcome.signature_type not in TWO_FACTORS:
            return SignatureTypeInvalid
        if replayed:
            return EncryptionFailed
        await self._encryption.remember(tx, opened)
        return ActivationDetail(registration.id, registration.name)

    async def rename(self, store: Store, header: SignatureHeader, body: bytes) -> EciesResponse:
        """activation/rename. Raises EncryptionFailed, SignatureInvalid, SignatureTypeInvalid, ActivationInvalid."""
        opened = await open_signed(store, self._encryption, header, body, SH1_ACTIVATION)
        if opened is None:
            # What phones sign here is what is inside, so without it there is nothing to check.
            raise EncryptionFailed
        return self._answer(opened, await store.write(self._rename, header, body, opened))

    async def _rename(
        self, tx: Tx, header: SignatureHeader, body: bytes, opened: OpenedRequest
    ) -> ActivationDetail | type[MobileError]:
        """Unit: the check, the new name and its audit row."""
        check = SignatureCheck("POST", RENAME_URI_ID, header, body, opened.plaintext)
        proven = await prove_signed(tx, self._encryption, self._signatures, check, opened, allowed_types=TWO_FACTORS)
        if not isinstance(proven, ProvenRequest):
            return proven
        asked = decode_opened(proven.plaintext, RenameActivation)
        if asked is None:
            return ActivationInvalid
        registration, name = proven.registration, asked.activation_name
        await tx.run(queries.save_phone_name, registration.id, registration.version, name, self._clock.now_ms())
        details = {"from": registration.name, "to": name}
        await self._lifecycle.record(tx, device(registration.id), "registration.rename", registration, details)
        return ActivationDetail(registration.id, name)

    def _answer(self, opened: OpenedRequest, result: ActivationDetail | type[MobileError]) -> EciesResponse:
        if not isinstance(result, ActivationDetail):
            raise result
        return self._encryption.seal(
            opened, ActivationDetailAnswer(result.activation_id, result.activation_name, result)
        )
