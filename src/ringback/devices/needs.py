"""What this room needs from others, as narrow as it can be; `server.py` passes the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ringback.errors import ActivationInvalid, DestinationNotAllowed

if TYPE_CHECKING:
    from ringback.apps import AppVersion
    from ringback.events import Event
    from ringback.principal import Principal
    from ringback.protocols.powerauth.keys import PrivateKey
    from ringback.push import Keep, PushToken, TokenOwner
    from ringback.store import Tx


class Apps(Protocol):
    """Which app an app key belongs to, and its keys."""

    async def version_by_key(self, tx: Tx, app_key: str) -> AppVersion | None:
        """The app version of a key, or None."""
        ...

    async def master_private_key(self, tx: Tx, app_id: str) -> PrivateKey:
        """The P-256 master key of an app. Raises AppNotFound."""
        ...

    async def exists(self, tx: Tx, app_id: str) -> bool:
        """Whether there is such an app."""
        ...

    async def roles_of(self, tx: Tx, app_id: str) -> tuple[str, ...]:
        """The roles of an app; none for an unknown one."""
        ...


class AppAccess(Protocol):
    """Who may use which apps."""

    async def apps_of(self, tx: Tx, principal: Principal) -> frozenset[str]:
        """The apps that an enabled system user may use; none for a disabled or unknown one."""
        ...


class PushTokenStore(Protocol):
    """Who keeps push tokens; the `push` room does."""

    async def register(
        self,
        tx: Tx,
        owner: TokenOwner,
        kind: str,
        push_token: str,
        *,
        environment: str | None = None,
        language: str | None = None,
        encryption_key: bytes | Keep | None = ...,
    ) -> PushToken:
        """Stores a push token in the place of the one that its owner had."""
        ...

    async def of_uds_device(self, tx: Tx, user_id: str, device_pkid: str) -> PushToken | None:
        """The push token of a UDS device."""
        ...

    async def count_uds_devices(self, tx: Tx, user_id: str, most: int) -> int:
        """How many UDS devices a user has; no more than `most` are counted."""
        ...

    async def forget_uds_device(self, tx: Tx, user_id: str, device_pkid: str) -> None:
        """A UDS device is not to be reached any more."""
        ...

    async def suspend_registration(self, tx: Tx, registration_id: str, *, suspended: bool) -> None:
        """Whether a registration may be reached."""
        ...

    async def forget_registration(self, tx: Tx, registration_id: str) -> None:
        """The registration is removed."""
        ...


class Audit(Protocol):
    """Where it is written down who did what."""

    async def record(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        *,
        subject_kind: str,
        subject_id: str,
        app_id: str | None = None,
        user_id: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Adds one row in the same unit."""
        ...


class EventSink(Protocol):
    """Who hears about changes."""

    async def publish(self, tx: Tx, event: Event) -> None:
        """Tells every subscriber in the same unit."""
        ...


class AppConfiguration(Protocol):
    """What the back end of an app decided about it, by key."""

    async def configuration(self, tx: Tx, app_id: str, key: str) -> Any | None:
        """The decoded JSON under this key; None when nobody set it or there is no such app."""
        ...


class Identified(msgspec.Struct, frozen=True):
    """Who activates, as somebody outside said.

    `commit`: the registration is ACTIVE at once; otherwise a back end commits it. `custom_attributes`: what the phone
    is told. `flags`: of the new registration.
    """

    user_id: str
    commit: bool = True
    custom_attributes: dict[str, Any] = {}
    flags: tuple[str, ...] = ()


class Identities(Protocol):
    """Who finds out which user activates without an activation code."""

    async def identify(
        self, app_id: str, kind: str, attributes: dict[str, str], custom_attributes: dict[str, Any]
    ) -> Identified:
        """Asks outside, so never inside a unit. `kind`: DIRECT or CUSTOM. Raises ActivationInvalid."""
        ...


class PublishedProvider(msgspec.Struct, frozen=True, rename="camel"):
    """What a phone needs to send its person to an OpenID provider."""

    provider_id: str
    client_id: str
    scopes: str
    authorize_uri: str
    redirect_uri: str
    pkce_enabled: bool


class Providers(Protocol):
    """Which OpenID providers an app has."""

    async def published_provider(self, app_id: str, provider_id: str) -> PublishedProvider | None:
        """Asks outside where needed, so never inside a unit; None for an unknown or unusable one."""
        ...


class Users(Protocol):
    """Who may log in."""

    async def is_enabled(self, tx: Tx, user_id: str) -> bool:
        """Whether the user may; nobody changes that before this unit is over."""
        ...


class Urls(Protocol):
    """Which URLs of strangers the server may call."""

    def check_url(self, url: str) -> None:
        """Raises DestinationNotAllowed."""
        ...


class UserInfo(Protocol):
    """What a phone is told about its user at the activation."""

    async def user_info(self, tx: Tx, app_id: str, user_id: str) -> dict[str, Any] | None:
        """Claims of the user; None when there are none."""
        ...


class NoConfiguration:
    """No app has any configuration."""

    async def configuration(self, tx: Tx, app_id: str, key: str) -> Any | None:  # noqa: ARG002 - the Protocol's
        """Nothing."""
        return None


class NoUrls:
    """No URL of a stranger is called."""

    def check_url(self, url: str) -> None:  # noqa: ARG002 - the Protocol's
        """Raises DestinationNotAllowed."""
        raise DestinationNotAllowed


class NobodyIdentified:
    """Nobody outside is asked: every identity is refused."""

    async def identify(
        self,
        app_id: str,  # noqa: ARG002 - the Protocol's
        kind: str,  # noqa: ARG002
        attributes: dict[str, str],  # noqa: ARG002
        custom_attributes: dict[str, Any],  # noqa: ARG002
    ) -> Identified:
        """Raises ActivationInvalid."""
        raise ActivationInvalid
