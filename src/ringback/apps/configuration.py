"""The configuration of an app: a few known keys, each with a JSON value that is checked when it is set and sealed."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.apps import queries
from ringback.apps.schema_configuration import (
    MASK,
    SECRET_FIELDS,
    SHAPES,
    ConfigurationEntry,
    CustomActivation,
    OAuth2Provider,
)
from ringback.clock import Clock
from ringback.errors import AppNotFound, DestinationNotAllowed, InvalidRequest, invalid_field
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.apps.needs import Urls
    from ringback.audit import AuditLog
    from ringback.principal import Principal
    from ringback.secrets import Vault

CACHE_MS = 1_500
CACHE_ENTRIES = 2_000


class ConfigurationReader:
    """Reads single keys, at most two seconds old, since encrypted requests of phones ask for them."""

    def __init__(self, *, clock: Clock, vault: Vault) -> None:
        self._clock = clock
        self._vault = vault
        self._values: OrderedDict[tuple[str, str], tuple[int, Any]] = OrderedDict()

    async def value(self, tx: Tx, app_id: str, key: str) -> Any | None:
        """The decoded JSON under the key, which the reader must not change; None when nobody set it."""
        now = self._clock.now_ms()
        cached = self._values.get((app_id, key))
        if cached is not None and 0 <= now - cached[0] < CACHE_MS:
            return cached[1]
        sealed = await tx.one(queries.configuration_value, app_id, key)
        value = None if sealed is None else self.open(app_id, key, sealed)
        self._values[app_id, key] = (now, value)
        if len(self._values) > CACHE_ENTRIES:
            self._values.popitem(last=False)
        return value

    def open(self, app_id: str, key: str, sealed: bytes) -> Any:
        """The decoded JSON of a sealed value."""
        return msgspec.json.decode(self._vault.unseal(sealed, _identity(app_id, key)))

    def seal(self, app_id: str, key: str, value: Any) -> bytes:
        """The opposite of `open`."""
        return self._vault.seal(msgspec.json.encode(value), _identity(app_id, key))

    def forget(self, app_id: str, key: str) -> None:
        """Drops what is remembered of a key that has changed."""
        self._values.pop((app_id, key), None)


class AppConfiguration:
    """What administrators do with it. Methods whose first argument is `tx` are units of work."""

    def __init__(self, *, clock: Clock, reader: ConfigurationReader, audit: AuditLog, urls: Urls) -> None:
        self._clock = clock
        self._reader = reader
        self._audit = audit
        self._urls = urls

    def checked(self, key: str, values: Any) -> Any:
        """What is stored for `values`. Raises InvalidRequest that names the field."""
        shape = SHAPES.get(key)
        if shape is None:
            raise _unknown_key(key)
        try:
            value = msgspec.convert(values, shape)
        except msgspec.ValidationError as error:
            raise _not_of_shape(str(error)) from error
        if isinstance(value, CustomActivation):
            self._check_custom(value)
        if key == "oauth2_providers":
            self._check_providers(value)
        return msgspec.to_builtins(value)

    async def all(self, tx: Tx, app_id: str) -> list[ConfigurationEntry]:
        """Every key that is set, by name, with secrets masked. Raises AppNotFound."""
        if await tx.one(queries.app_by_id, app_id) is None:
            raise AppNotFound
        return [
            ConfigurationEntry(key, masked(self._reader.open(app_id, key, sealed)))
            for key, sealed in await tx.all(queries.configuration_of_app, app_id)
        ]

    async def set(self, tx: Tx, principal: Principal, app_id: str, key: str, value: Any) -> ConfigurationEntry:
        """Stores what `checked` returned, in the place of what was there. Raises AppNotFound, InvalidRequest."""
        if await tx.one(queries.app_by_id, app_id) is None:
            raise AppNotFound
        if key == "activation_spawn":
            for nth, other in enumerate(value):
                if await tx.one(queries.app_by_id, other) is None:
                    raise invalid_field(f"values[{nth}]", "There is no such application.", other)
        await tx.run(
            queries.set_configuration, app_id, key, self._reader.seal(app_id, key, value), self._clock.now_ms()
        )
        await self._record(tx, principal, "app.configure", app_id, key)
        return ConfigurationEntry(key, masked(value))

    async def remove(self, tx: Tx, principal: Principal, app_id: str, key: str) -> None:
        """Forgets a key; one that is not set is no change. Raises AppNotFound, InvalidRequest."""
        if key not in SHAPES:
            raise _unknown_key(key)
        if await tx.one(queries.app_by_id, app_id) is None:
            raise AppNotFound
        if await tx.one(queries.configuration_value, app_id, key) is None:
            return
        await tx.run(queries.remove_configuration, app_id, key)
        await self._record(tx, principal, "app.configuration_removed", app_id, key)

    def forget(self, app_id: str, key: str) -> None:
        """After COMMIT: this process reads the key again at once, the others within two seconds."""
        self._reader.forget(app_id, key)

    async def _record(self, tx: Tx, principal: Principal, action: str, app_id: str, key: str) -> None:
        await self._audit.record(
            tx, principal, action, subject_kind="app", subject_id=app_id, app_id=app_id, details={"key": key}
        )

    def _check_custom(self, value: CustomActivation) -> None:
        self._check_url("values.url", value.url)
        _check_secret("values.password", value.password)

    def _check_providers(self, providers: list[OAuth2Provider]) -> None:
        seen = set()
        for nth, provider in enumerate(providers):
            path = f"values[{nth}]"
            if provider.provider_id in seen:
                raise invalid_field(f"{path}.providerId", "Each provider needs an id of its own.", provider.provider_id)
            seen.add(provider.provider_id)
            _check_secret(f"{path}.clientSecret", provider.client_secret)
            self._check_url(f"{path}.issuerUri", provider.issuer_uri)
            self._check_url(f"{path}.tokenUri", provider.token_uri)
            self._check_url(f"{path}.jwkSetUri", provider.jwk_set_uri)

    def _check_url(self, path: str, url: str | None) -> None:
        """`authorizeUri` and `redirectUri` are for the phone: the server never calls them."""
        try:
            if url is not None:
                self._urls.check_url(url)
        except DestinationNotAllowed as error:
            raise invalid_field(path, error.message, url) from error


def masked(value: Any) -> Any:
    """The value with every secret replaced."""
    if isinstance(value, dict):
        return {name: MASK if name in SECRET_FIELDS and item else masked(item) for name, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def _check_secret(path: str, secret: str) -> None:
    if secret == MASK:
        raise invalid_field(path, "Send the secret itself: it cannot be read back from here.")


def _identity(app_id: str, key: str) -> str:
    return f"app:{app_id}:configuration:{key}"


def _unknown_key(key: str) -> InvalidRequest:
    return invalid_field("key", f"There is no such key. Known keys: {', '.join(sorted(SHAPES))}.", key)


def _not_of_shape(text: str) -> InvalidRequest:
    """msgspec says ``Expected `str`, got `int` - at `$[0].clientId` ``."""
    hint, _, path = text.partition(" - at `$")
    return invalid_field(f"values{path.rstrip('`')}", hint)
