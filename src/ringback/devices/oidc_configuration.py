"""What a phone is told about an OpenID provider before it sends its person there.

Source: Enrollment Server, `/api/config/oidc`; the answer has the shape in which that server wraps all its answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from ringback.devices.envelopes import decode_opened
from ringback.devices.needs import PublishedProvider
from ringback.errors import EncryptionFailed, InvalidMobileRequest, MobileError
from ringback.http import Envelope
from ringback.protocols.powerauth.ecies import SH1_APPLICATION, EciesEnvelope, EciesResponse

if TYPE_CHECKING:
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.needs import Providers
    from ringback.protocols.powerauth.headers import EncryptionHeader
    from ringback.store import Store, Tx


class WantedProvider(msgspec.Struct, frozen=True, rename="camel"):
    """Which provider the phone asks about."""

    provider_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class AskProvider(msgspec.Struct, frozen=True, rename="camel"):
    """POST /api/config/oidc: SDKs send the content bare, other clients as `requestObject`."""

    provider_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    request_object: WantedProvider | None = None

    @property
    def wanted(self) -> str:
        """The provider's id. Raises InvalidMobileRequest."""
        found = self.provider_id or (self.request_object.provider_id if self.request_object else None)
        if found is None:
            raise InvalidMobileRequest
        return found


class OidcConfiguration:
    """Answers in application scope: no phone is activated yet."""

    def __init__(self, *, encryption: Encryption, providers: Providers | None) -> None:
        self._encryption = encryption
        self._providers = providers

    async def answer(self, store: Store, header: EncryptionHeader, body: bytes) -> EciesResponse:
        """config/oidc: how to reach an OpenID provider. Raises EncryptionFailed, InvalidMobileRequest."""
        try:
            envelope = msgspec.json.decode(body, type=EciesEnvelope)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise EncryptionFailed(cause=error) from error
        key = await store.read(
            self._encryption.find_key, header.version, header.application_key, envelope.temporary_key_id
        )
        opened = self._encryption.open(key, envelope, SH1_APPLICATION)
        asked = decode_opened(opened.plaintext, AskProvider)
        refusal = await store.write(self._once, opened)
        if refusal is not None:
            raise refusal
        if asked is None or self._providers is None:
            raise InvalidMobileRequest
        provider = await self._providers.published_provider(opened.app_id, asked.wanted)
        if provider is None:
            raise InvalidMobileRequest("There is no such provider.")
        return self._encryption.seal(opened, Envelope[PublishedProvider](provider))

    async def _once(self, tx: Tx, opened: OpenedRequest) -> type[MobileError] | None:
        """Unit: a repeated envelope is refused, so that nobody makes us ask the provider with a recorded one."""
        if await self._encryption.is_replay(tx, opened):
            return EncryptionFailed
        await self._encryption.remember(tx, opened)
        return None
