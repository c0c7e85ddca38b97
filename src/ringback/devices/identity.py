"""Who activates without an activation code: an OpenID provider says so, or an address of the app's back end.

Sources: PowerAuth specification, "Activation", types DIRECT and CUSTOM; PowerAuth server, "OIDC Activation". To the
phone every failure is the same; the reason is in the log.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import structlog

from ringback.apps import CustomActivation, OAuth2Provider
from ringback.devices.needs import Identified, PublishedProvider
from ringback.errors import ActivationInvalid, DestinationNotAllowed, DestinationUnreachable, OpenIdRefused
from ringback.http import is_too_deep
from ringback.openid import Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringback.devices.needs import AppConfiguration
    from ringback.egress import Egress
    from ringback.openid import OpenIdClient
    from ringback.store import Store

_log = structlog.get_logger("ringback.devices")
_USER_ID = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
MAX_ANSWER = 65_536
OK = 200

T = TypeVar("T", bound=msgspec.Struct)
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
Flag = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]


class OidcAttributes(msgspec.Struct, frozen=True, rename="camel"):
    """identityAttributes of a DIRECT activation with method `oidc`."""

    method: str
    provider_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    code: Text
    nonce: Text
    code_verifier: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~-]{43,128}$")] | None = None


class CustomAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What the app's back end answers about a CUSTOM activation."""

    user_id: str
    custom_attributes: dict[str, Any] = {}
    flags: Annotated[list[Flag], msgspec.Meta(max_length=100)] = []
    commit: bool = True


class Refused(Exception):
    """Why nobody was identified; a sentence for the log."""


class OutsideIdentities:
    """Asks the app's OpenID provider (DIRECT) or back end (CUSTOM). Nothing here runs inside a unit of work."""

    def __init__(self, *, store: Store, configuration: AppConfiguration, openid: OpenIdClient, egress: Egress) -> None:
        self._store = store
        self._configuration = configuration
        self._openid = openid
        self._egress = egress

    async def identify(
        self, app_id: str, kind: str, attributes: dict[str, str], custom_attributes: dict[str, Any]
    ) -> Identified:
        """See devices.needs.Identities. Raises ActivationInvalid."""
        try:
            if kind == "DIRECT":
                return await self._by_provider(app_id, attributes)
            return await self._by_back_end(app_id, attributes, custom_attributes)
        except (Refused, OpenIdRefused, DestinationNotAllowed, DestinationUnreachable) as error:
            _log.warning("activation refused", app=app_id, kind=kind, reason=str(error), cause=_cause(error))
            raise ActivationInvalid(cause=error) from error

    async def published_provider(self, app_id: str, provider_id: str) -> PublishedProvider | None:
        """See devices.needs.Providers."""
        provider = await self._provider(app_id, provider_id)
        if provider is None:
            return None
        try:
            authorize_uri = provider.authorize_uri or await self._discovered(app_id, provider, "authorization_endpoint")
        except (Refused, OpenIdRefused) as error:
            _log.warning("an OpenID provider cannot be used", app=app_id, reason=str(error), cause=_cause(error))
            return None
        return PublishedProvider(
            provider_id=provider.provider_id,
            client_id=provider.client_id,
            scopes=provider.scopes,
            authorize_uri=authorize_uri,
            redirect_uri=provider.redirect_uri,
            pkce_enabled=provider.pkce_enabled,
        )

    async def _by_provider(self, app_id: str, attributes: Mapping[str, str]) -> Identified:
        asked = _convert(attributes, OidcAttributes)
        if asked.method != "oidc":
            raise Refused("The method is not oidc.")
        provider = await self._provider(app_id, asked.provider_id)
        if provider is None:
            raise Refused("The app has no provider with this id.")
        if provider.pkce_enabled and asked.code_verifier is None:
            raise Refused("The provider has pkceEnabled, and no codeVerifier came.")
        id_token = await self._openid.exchange(
            provider.token_uri or await self._discovered(app_id, provider, "token_endpoint"),
            Client(
                provider.client_id,
                provider.client_secret,
                post=provider.client_authentication_method == "client_secret_post",
            ),
            code=asked.code,
            redirect_uri=provider.redirect_uri,
            code_verifier=asked.code_verifier,
            owner=app_id,
        )
        claims = await self._openid.id_token_claims(
            id_token,
            issuer=provider.issuer_uri,
            jwks_uri=provider.jwk_set_uri or await self._discovered(app_id, provider, "jwks_uri"),
            client_id=provider.client_id,
            algorithm=provider.signature_algorithm,
            nonce=asked.nonce,
            owner=app_id,
        )
        return Identified(_user_id(claims.get(provider.user_id_claim)), commit=provider.commit)

    async def _by_back_end(
        self, app_id: str, attributes: Mapping[str, str], custom_attributes: Mapping[str, Any]
    ) -> Identified:
        found = await self._store.read(self._configuration.configuration, app_id, "custom_activation")
        if found is None:
            raise Refused("The app has no custom_activation.")
        target = msgspec.convert(found, CustomActivation)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if target.username:
            pair = base64.b64encode(f"{target.username}:{target.password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        question = {
            "applicationId": app_id,
            "identityAttributes": attributes,
            "customAttributes": custom_attributes,
        }
        answer = await self._egress.request(
            "POST",
            target.url,
            headers=headers,
            body=msgspec.json.encode(question),
            limit_bytes=MAX_ANSWER,
            owner=app_id,
        )
        if answer.status != OK or answer.truncated:
            raise Refused(f"The app's back end answered {answer.status}.")
        said = _decode(answer.body, CustomAnswer)
        return Identified(
            _user_id(said.user_id),
            commit=said.commit,
            custom_attributes=said.custom_attributes,
            flags=tuple(said.flags),
        )

    async def _provider(self, app_id: str, provider_id: str) -> OAuth2Provider | None:
        found = await self._store.read(self._configuration.configuration, app_id, "oauth2_providers")
        providers = msgspec.convert(found or [], list[OAuth2Provider])
        return next((one for one in providers if one.provider_id == provider_id), None)

    async def _discovered(self, app_id: str, provider: OAuth2Provider, name: str) -> str:
        """One of the addresses that the provider publishes."""
        address: str = getattr(await self._openid.metadata(provider.issuer_uri, owner=app_id), name)
        if not address:
            raise Refused(f"The provider's discovery document has no {name}.")
        return address


def _user_id(value: object) -> str:
    if not isinstance(value, str) or _USER_ID.fullmatch(value) is None:
        raise Refused("What was said of the user is no user id of 1 to 255 characters.")
    return value


def _convert(attributes: Mapping[str, str], shape: type[T]) -> T:
    try:
        return msgspec.convert(attributes, shape)
    except msgspec.ValidationError as error:
        raise Refused(f"The identity attributes: {error}") from error


def _decode(body: bytes, shape: type[T]) -> T:
    try:
        value = msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"The answer of the app's back end: {error}") from error
    if is_too_deep(body):
        raise Refused("The answer of the app's back end: lists and objects lie too deep in each other.")
    return value


def _cause(error: BaseException) -> str | None:
    """What lies under a short message, for the log."""
    causes = []
    while error.__cause__ is not None:
        error = error.__cause__
        causes.append(f"{type(error).__name__}: {error}")
    return " < ".join(causes) or None
