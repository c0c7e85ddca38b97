"""What a phone is told about its user. Source: PowerAuth RESTful API, user info; OpenID Connect Core §5.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringback.clock import new_id
from ringback.devices import queries
from ringback.devices.envelopes import open_encrypted
from ringback.errors import EncryptionFailed, MobileError, UserInfoRefused
from ringback.protocols.powerauth.ecies import SH1_ACTIVATION, EciesResponse

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.encryption import Encryption, OpenedRequest
    from ringback.devices.needs import UserInfo
    from ringback.protocols.powerauth.headers import EncryptionHeader
    from ringback.store import Store, Tx


class UserInfoRequests:
    """Claims for phones; `directory` knows what back ends stored."""

    def __init__(
        self, *, clock: Clock, randomness: Randomness, encryption: Encryption, directory: UserInfo | None
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._encryption = encryption
        self._directory = directory

    async def user_info(self, tx: Tx, app_id: str, user_id: str) -> dict[str, Any] | None:
        """The claims that a phone is told without asking: None when its back end stored none."""
        stored = None if self._directory is None else await self._directory.user_info(tx, app_id, user_id)
        return None if stored is None else self._complete(user_id, stored)

    async def read(self, store: Store, header: EncryptionHeader, body: bytes) -> EciesResponse:
        """user/info. Raises EncryptionFailed, UserInfoRefused."""
        opened = await open_encrypted(store, self._encryption, header, body, SH1_ACTIVATION)
        result = await store.write(self._read, header.activation_id, opened)
        if isinstance(result, type):
            raise result
        return self._encryption.seal(opened, result)

    async def _read(self, tx: Tx, registration_id: str, opened: OpenedRequest) -> dict[str, Any] | type[MobileError]:
        """Unit: who holds the transport key of an ACTIVE registration is told about its user."""
        replayed = await self._encryption.is_replay(tx, opened)
        registration = await tx.one(queries.registration_by_id, registration_id)
        if replayed or registration is None:
            return EncryptionFailed
        if registration.status != "ACTIVE":
            return UserInfoRefused
        claims = await self.user_info(tx, registration.app_id, registration.user_id)
        await self._encryption.remember(tx, opened)
        return claims if claims is not None else self._complete(registration.user_id, {})

    def _complete(self, user_id: str, stored: dict[str, Any]) -> dict[str, Any]:
        """Whose claims, under which id, from when (RFC 7519 §4.1); what the back end stored comes before ours."""
        made = {"sub": user_id, "jti": new_id(self._clock, self._randomness), "iat": self._clock.now_ms() // 1000}
        return made | stored
