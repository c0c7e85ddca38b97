"""Activation spawn: an active phone asks for an activation code for another app of the same user.

The app that asks puts the code and an OTP of its own into a link, which opens the other app. Source: Enrollment Server
API, "Activation Spawn".
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from ringback.devices.creation import NewRegistration
from ringback.devices.envelopes import ProvenRequest, decode_opened, open_signed, prove_signed
from ringback.devices.model import Registration, SignatureCheck
from ringback.devices.phone import TWO_FACTORS
from ringback.devices.schema_spawn import SpawnActivation, SpawnActivationRequest, SpawnedActivation, SpawnedAnswer
from ringback.errors import (
    AppNotFound,
    EncryptionFailed,
    InvalidApplication,
    InvalidMobileRequest,
    MobileError,
    MobileTokenFailed,
)
from ringback.principal import device
from ringback.protocols.powerauth.activation_code import sign_activation_code
from ringback.protocols.powerauth.ecies import SH1_ACTIVATION, EciesResponse

if TYPE_CHECKING:
    from ringback.devices.creation import Creation
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.needs import AppConfiguration, Apps
    from ringback.devices.otp import ActivationOtps
    from ringback.devices.signatures import Signatures
    from ringback.protocols.powerauth.headers import SignatureHeader
    from ringback.protocols.powerauth.keys import PrivateKey
    from ringback.store import Store, Tx

CONFIGURATION_KEY = "activation_spawn"
URI_ID = "/api/activation/code"


class Spawned(msgspec.Struct, frozen=True):
    """The new registration, and the key that signs its code."""

    registration: Registration
    master_key: PrivateKey


class Spawn:
    """Makes registrations that phones ask for."""

    def __init__(
        self,
        *,
        apps: Apps,
        configuration: AppConfiguration,
        signatures: Signatures,
        encryption: Encryption,
        creation: Creation,
        otps: ActivationOtps,
    ) -> None:
        self._apps = apps
        self._configuration = configuration
        self._signatures = signatures
        self._encryption = encryption
        self._creation = creation
        self._otps = otps

    async def create(self, store: Store, header: SignatureHeader, body: bytes) -> EciesResponse:
        """activation/code: a code for another app of the same user.

        Raises AuthenticationFailed, EncryptionFailed, InvalidMobileRequest, InvalidApplication.
        """
        opened = await open_signed(store, self._encryption, header, body, SH1_ACTIVATION)
        if opened is None:
            # What phones sign here is what is inside, so without it there is nothing to check.
            raise EncryptionFailed
        result = await store.write(self._create, header, body, opened)
        if not isinstance(result, Spawned):
            raise result
        made = result.registration
        signature = base64.b64encode(sign_activation_code(result.master_key, made.activation_code)).decode("ascii")
        shown = SpawnedActivation(made.id, made.activation_code, signature)
        return self._encryption.seal(opened, SpawnedAnswer(made.id, made.activation_code, signature, shown))

    async def _create(
        self, tx: Tx, header: SignatureHeader, body: bytes, opened: OpenedRequest
    ) -> Spawned | type[MobileError]:
        """Unit: the check of the signature, and the new registration."""
        check = SignatureCheck("POST", URI_ID, header, body, opened.plaintext)
        proven = await prove_signed(
            tx,
            self._encryption,
            self._signatures,
            check,
            opened,
            allowed_types=TWO_FACTORS,
            refused=MobileTokenFailed,
        )
        if not isinstance(proven, ProvenRequest):
            return proven
        asking = proven.registration
        wrapped = decode_opened(opened.plaintext, SpawnActivationRequest)
        asked = decode_opened(opened.plaintext, SpawnActivation) if wrapped is None else wrapped.request_object
        if asked is None:
            return InvalidMobileRequest
        master_key = await self._allowed_key(tx, asking.app_id, asked.application_id)
        if master_key is None:
            return InvalidApplication
        registration_id = self._creation.new_id()
        new = NewRegistration(
            registration_id,
            asked.application_id,
            asking.user_id,
            commit_phase="ON_KEY_EXCHANGE",
            otp_fingerprint=self._otps.fingerprint(registration_id, asked.otp),
        )
        return Spawned(await self._creation.insert(tx, device(asking.id), new), master_key)

    async def _allowed_key(self, tx: Tx, app_id: str, wanted: str) -> PrivateKey | None:
        """The master key of the wanted app, if this app's configuration names it."""
        allowed = await self._configuration.configuration(tx, app_id, CONFIGURATION_KEY)
        if not isinstance(allowed, list) or wanted not in allowed:
            return None
        try:
            return await self._apps.master_private_key(tx, wanted)
        except AppNotFound:  # said by the apps room, not by the database: the unit goes on
            return None
