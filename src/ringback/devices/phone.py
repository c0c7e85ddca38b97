"""What a phone does with a signature or a MAC token: each request is one unit, from the check to the change."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from ringback.devices.envelopes import ProvenRequest, open_signed, prove_signed
from ringback.devices.model import Registration, SignatureCheck, SignatureOutcome
from ringback.devices.schema import CreatedMacToken
from ringback.errors import EncryptionFailed, MobileError
from ringback.principal import device
from ringback.protocols.powerauth.ecies import SH1_TOKEN_CREATE, EciesResponse

if TYPE_CHECKING:
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.mac_tokens import MacTokens
    from ringback.devices.signatures import Signatures
    from ringback.protocols.powerauth.headers import SignatureHeader
    from ringback.store import Store, Tx

TWO_FACTORS = frozenset({"possession_knowledge", "possession_biometry", "possession_knowledge_biometry"})
WITH_POSSESSION = TWO_FACTORS | {"possession"}


class PhoneRequests:
    """Signed requests of phones."""

    def __init__(
        self, *, signatures: Signatures, mac_tokens: MacTokens, encryption: Encryption, lifecycle: Lifecycle
    ) -> None:
        self._signatures = signatures
        self._mac_tokens = mac_tokens
        self._encryption = encryption
        self._lifecycle = lifecycle

    async def validate(self, tx: Tx, check: SignatureCheck) -> SignatureOutcome:
        """Unit: signature/validate."""
        return await self._signed(tx, check, WITH_POSSESSION)

    async def remove(self, tx: Tx, header: SignatureHeader, body: bytes) -> SignatureOutcome:
        """Unit: activation/remove; the phone gives up its registration."""
        check = SignatureCheck("POST", "/pa/activation/remove", header, body)
        outcome = await self._signed(tx, check, TWO_FACTORS)
        if (registration := _proven(outcome)) is not None:
            await self._lifecycle.change(tx, registration, "remove", device(registration.id))
        return outcome

    async def remove_mac_token(self, tx: Tx, header: SignatureHeader, body: bytes, token_id: str) -> SignatureOutcome:
        """Unit: token/remove."""
        outcome = await self._signed(tx, SignatureCheck("POST", "/pa/token/remove", header, body), WITH_POSSESSION)
        if (registration := _proven(outcome)) is not None:
            await self._mac_tokens.remove(tx, registration, token_id)
        return outcome

    async def create_mac_token(self, store: Store, header: SignatureHeader, body: bytes) -> EciesResponse:
        """token/create: the signature is over the encrypted body as it was sent ("End-to-End Encryption").

        Raises SignatureInvalid, SignatureTypeInvalid, EncryptionFailed; a counted failure is stored by then.
        """
        opened = await open_signed(store, self._encryption, header, body, SH1_TOKEN_CREATE)
        result = await store.write(self._create_mac_token, header, body, opened)
        if opened is None or not isinstance(result, CreatedMacToken):
            raise EncryptionFailed if isinstance(result, CreatedMacToken) else result
        return self._encryption.seal(opened, result)

    async def _create_mac_token(
        self, tx: Tx, header: SignatureHeader, body: bytes, opened: OpenedRequest | None
    ) -> CreatedMacToken | type[MobileError]:
        # Read before anything is written, so that PostgreSQL gets all of it in one statement.
        surplus = await self._mac_tokens.surplus(tx, header.activation_id)
        check = SignatureCheck("POST", "/pa/token/create", header, body)
        proven = await prove_signed(
            tx, self._encryption, self._signatures, check, opened, allowed_types=WITH_POSSESSION
        )
        if not isinstance(proven, ProvenRequest):
            return proven
        registration = proven.registration
        for oldest in surplus:
            await self._mac_tokens.remove(tx, registration, oldest)
        token_id, secret = await self._mac_tokens.create(tx, registration, proven.signature_type)
        return CreatedMacToken(token_id, base64.b64encode(secret).decode("ascii"))

    async def _signed(self, tx: Tx, check: SignatureCheck, allowed_types: frozenset[str]) -> SignatureOutcome:
        return await self._signatures.check(tx, check, allowed_types=allowed_types, only_apps=None)


def _proven(outcome: SignatureOutcome) -> Registration | None:
    return outcome.registration if outcome.valid else None
