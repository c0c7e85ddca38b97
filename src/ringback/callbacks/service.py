"""Callbacks: made, changed, looked at, forgotten. Methods whose first argument is `tx` are units of work."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
from yarl import URL

from ringback.callbacks import authentication, queries
from ringback.callbacks.durations import duration_ms
from ringback.callbacks.model import (
    DAY_MS,
    DEFAULT_INITIAL_BACKOFF_MS,
    DEFAULT_MAX_ATTEMPTS,
    DEFAULT_RETENTION_MS,
    LONGEST_BACKOFF_MS,
    MOST_CALLBACKS,
    SECOND_MS,
    Callback,
    CallbackType,
)
from ringback.callbacks.payload import check_attributes
from ringback.clock import Clock, Randomness, new_id
from ringback.errors import AppNotFound, CallbackNotFound, DestinationNotAllowed, invalid_field
from ringback.outbox import Attempt, OutboxLimits, PastDelivery, forget_history, read_history
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.callbacks.authentication import Authentication
    from ringback.callbacks.needs import AppAccess, Apps, WayOut
    from ringback.callbacks.schema import AuthenticationContent, CallbackContent, HttpBasicContent
    from ringback.principal import Principal
    from ringback.secrets import Vault

SUBJECT = "callback"
_LAST_CONTROL = 0x20
_encode = msgspec.json.Encoder().encode


class Known(msgspec.Struct, frozen=True):
    """A callback and how it authenticates."""

    callback: Callback
    authentication: Authentication | None


class CallbacksService:
    """Manages callbacks. An admin may manage every app's, an integration user those of its apps."""

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        vault: Vault,
        apps: Apps,
        access: AppAccess,
        audit: AuditLog,
        way_out: WayOut,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._apps = apps
        self._access = access
        self._audit = audit
        self._way_out = way_out

    async def create(self, tx: Tx, principal: Principal, app_id: str, content: CallbackContent) -> Known:
        """A new callback. Raises AppNotFound, InvalidRequest naming the field."""
        proves = _authentication(content.authentication)
        self._check_url(content.callback_url)
        callback_id = new_id(self._clock, self._randomness)
        callback = self._build(callback_id, app_id, content, proves, created_at=self._clock.now_ms(), version=1)
        await self._check_app(tx, principal, app_id)
        if len(await tx.all(queries.callbacks_of_app, app_id)) >= MOST_CALLBACKS:
            raise invalid_field("appId", f"An application has at most {MOST_CALLBACKS} callbacks.", app_id)
        await tx.run(queries.insert_callback, *msgspec.structs.astuple(callback))
        await self._record(tx, principal, "create", callback)
        return Known(callback, proves)

    async def all(self, tx: Tx, principal: Principal, app_id: str) -> list[Known]:
        """The callbacks of an app, oldest first. Raises AppNotFound."""
        await self._check_app(tx, principal, app_id)
        return [self._known(one) for one in await tx.all(queries.callbacks_of_app, app_id)]

    async def get(self, tx: Tx, principal: Principal, app_id: str, callback_id: str) -> Known:
        """One callback. Raises AppNotFound, CallbackNotFound."""
        return self._known(await self._find(tx, principal, app_id, callback_id))

    async def replace(
        self, tx: Tx, principal: Principal, app_id: str, callback_id: str, content: CallbackContent
    ) -> Known:
        """Another content; without `authentication` that stays. What waits to be delivered goes by the new one.

        Raises AppNotFound, CallbackNotFound, InvalidRequest naming the field.
        """
        self._check_url(content.callback_url)
        before = await self._find(tx, principal, app_id, callback_id)
        proves = _authentication(content.authentication)
        if content.authentication is None:
            proves = authentication.unseal(self._vault, before.id, before.authentication_sealed)
            if proves is not None and URL(content.callback_url).origin() != URL(before.callback_url).origin():
                # Else whoever may change the URL could have the password sent to themselves.
                raise invalid_field("authentication", "Say it again: callbackUrl is at another host than before.")
        after = self._build(
            before.id, app_id, content, proves, created_at=before.created_at, version=before.version + 1
        )
        await tx.run(
            queries.save_callback,
            after.id,
            before.version,
            after.name,
            after.type,
            after.callback_url,
            after.attributes,
            after.authentication_sealed,
            after.long_type_names,
            after.max_attempts,
            after.initial_backoff_ms,
            after.retention_ms,
            after.enabled,
        )
        await self._record(tx, principal, "replace", after)
        return Known(after, proves)

    async def delete(self, tx: Tx, principal: Principal, app_id: str, callback_id: str) -> None:
        """Forgets a callback; what waits to be delivered is given up. Raises AppNotFound, CallbackNotFound."""
        callback = await self._find(tx, principal, app_id, callback_id)
        await tx.run(queries.delete_callback, callback.id, callback.version)
        await self._record(tx, principal, "delete", callback)

    async def deliveries(
        self, tx: Tx, principal: Principal, callback_id: str, before_id: str | None, limit: int
    ) -> list[tuple[PastDelivery, list[Attempt]]]:
        """What was told to a callback of any app of the principal, newest first. Raises CallbackNotFound."""
        callback = await _callback(tx, callback_id)
        if callback is None or not await self._may_manage(tx, principal, callback.app_id):
            raise CallbackNotFound
        return await read_history(tx, callback_id, before_id, limit)

    async def to_deliver(self, tx: Tx, callback_id: str) -> Known | None:
        """For the channel: the callback as it is now."""
        callback = await _callback(tx, callback_id)
        return None if callback is None else self._known(callback)

    async def purge(self, tx: Tx, limit: int) -> int:
        """Unit for the job: forgets up to `limit` deliveries whose callback keeps them for less than the outbox."""
        forgotten = 0
        longest = round(OutboxLimits().kept_seconds * SECOND_MS)
        for callback_id, retention_ms in await tx.all(queries.short_retentions, longest):
            if forgotten < limit:
                before = self._clock.now_ms() - retention_ms
                forgotten += await forget_history(tx, callback_id, before, limit - forgotten)
        return forgotten

    async def _find(self, tx: Tx, principal: Principal, app_id: str, callback_id: str) -> Callback:
        await self._check_app(tx, principal, app_id)
        callback = await _callback(tx, callback_id)
        if callback is None or callback.app_id != app_id:
            raise CallbackNotFound
        return callback

    async def _check_app(self, tx: Tx, principal: Principal, app_id: str) -> None:
        if "\0" in app_id or not await self._may_manage(tx, principal, app_id):
            raise AppNotFound

    def _check_url(self, url: str) -> None:
        try:
            self._way_out.check_url(url)
        except DestinationNotAllowed as error:
            raise invalid_field("callbackUrl", error.message) from error

    async def _may_manage(self, tx: Tx, principal: Principal, app_id: str) -> bool:
        if principal.role == "admin":
            return await self._apps.exists(tx, app_id)
        return app_id in await self._access.apps_of(tx, principal)

    def _known(self, callback: Callback) -> Known:
        return Known(callback, authentication.unseal(self._vault, callback.id, callback.authentication_sealed))

    def _build(
        self,
        callback_id: str,
        app_id: str,
        content: CallbackContent,
        proves: Authentication | None,
        *,
        created_at: int,
        version: int,
    ) -> Callback:
        kind = _kind(content.type)
        attributes = list(dict.fromkeys(content.attributes or ()))
        check_attributes(kind, attributes)
        return Callback(
            id=callback_id,
            app_id=app_id,
            name=content.name,
            type=kind,
            callback_url=content.callback_url,
            attributes=_encode(attributes).decode(),
            authentication_sealed=authentication.seal(self._vault, callback_id, proves),
            long_type_names=bool(content.long_type_names),
            max_attempts=DEFAULT_MAX_ATTEMPTS if content.max_attempts is None else content.max_attempts,
            initial_backoff_ms=_duration(
                "initialBackoff", content.initial_backoff, DEFAULT_INITIAL_BACKOFF_MS, 100, LONGEST_BACKOFF_MS
            ),
            retention_ms=_duration(
                "retentionPeriod", content.retention_period, DEFAULT_RETENTION_MS, 60 * SECOND_MS, 366 * DAY_MS
            ),
            enabled=content.enabled is not False,
            created_at=created_at,
            version=version,
        )

    async def _record(self, tx: Tx, principal: Principal, what: str, callback: Callback) -> None:
        # Not the URL: a secret may be in it.
        await self._audit.record(
            tx,
            principal,
            f"{SUBJECT}.{what}",
            subject_kind=SUBJECT,
            subject_id=callback.id,
            app_id=callback.app_id,
            details={"name": callback.name, "type": callback.type},
        )


async def _callback(tx: Tx, callback_id: str) -> Callback | None:
    if "\0" in callback_id:
        return None
    return await tx.one(queries.callback_by_id, callback_id)


def _kind(asked: str) -> CallbackType:
    """PowerAuth server says ACTIVATION where PowerAuth Cloud says REGISTRATION."""
    return cast("CallbackType", asked.replace("ACTIVATION", "REGISTRATION"))


def _duration(field: str, value: str | int | None, default: int, least: int, most: int) -> int:
    return default if value is None else duration_ms(field, value, least=least, most=most)


def _authentication(content: AuthenticationContent | None) -> Authentication | None:
    if content is None:
        return None
    for name, other in (("certificate", content.certificate), ("oauth2", content.oauth2)):
        if other is not None and other.enabled:
            raise invalid_field(f"authentication.{name}", "Not available yet; httpBasic is.")
    return None if content.http_basic is None or not content.http_basic.enabled else _http_basic(content.http_basic)


def _http_basic(content: HttpBasicContent) -> Authentication:
    """RFC 7617 §2: no colon in the user name, no control characters in either."""
    for name, text in (("username", content.username), ("password", content.password)):
        field = f"authentication.httpBasic.{name}"
        if not text:
            raise invalid_field(field, "Needed when httpBasic is enabled.")
        if any(ord(letter) < _LAST_CONTROL or letter == "\x7f" for letter in text):
            raise invalid_field(field, "No control characters.")
    username, password = content.username or "", content.password or ""
    if ":" in username:
        raise invalid_field("authentication.httpBasic.username", "No colon.")
    return authentication.HttpBasic(username, password)
