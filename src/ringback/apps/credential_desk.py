"""What people do with push credentials, whichever API or command they come by: check, store, forget, try."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from ringback.apps.certificate_forms import Wish, apns_certificate, apns_p12
from ringback.apps.credential_forms import apns_token_key, fcm_service_account, web_push_keys
from ringback.apps.model_push_credentials import KINDS, CredentialRow, expiry
from ringback.apps.schema_push_credentials import (
    ApnsContent,
    Content,
    FcmContent,
    PushCredential,
    Trial,
    WebPushContent,
    facts_of,
)
from ringback.clock import Clock
from ringback.errors import invalid_field
from ringback.push import Credential, CredentialKind
from ringback.store import Store

if TYPE_CHECKING:
    from ringback.apps.live_credentials import LiveCredentials
    from ringback.apps.needs import Trials
    from ringback.apps.push_credentials import PushCredentials
    from ringback.principal import Principal

T = TypeVar("T", bound=Credential)

CHECKS_AT_A_TIME = 2
"""Each is a process for as long as it takes, at most some seconds."""


class CredentialDesk:
    """Runs the units of work, and lets this process know at once. All raise AppNotFound and StoreUnavailable."""

    def __init__(
        self, *, store: Store, clock: Clock, credentials: PushCredentials, live: LiveCredentials, trials: Trials
    ) -> None:
        self._store = store
        self._clock = clock
        self._credentials = credentials
        self._live = live
        self._trials = trials
        self._threads = ThreadPoolExecutor(CHECKS_AT_A_TIME, thread_name_prefix="keys")

    async def all(self, app_id: str) -> list[PushCredential]:
        """What an app has, by kind."""
        return [self._shown(row) for row in await self._store.read(self._credentials.all, app_id)]

    async def one(self, app_id: str, kind: CredentialKind) -> PushCredential:
        """What an app has of one kind. Raises PushCredentialNotFound."""
        return self._shown(await self._store.read(self._credentials.one, app_id, kind))

    async def put(self, principal: Principal, app_id: str, content: Content) -> PushCredential:
        """Checks and stores one, in the place of the one of its kind. Raises InvalidRequest that names the field."""
        if isinstance(content, WebPushContent):
            keys = web_push_keys(content.subject, content.private_key)
            if content.private_key is None:
                unit = self._credentials.put_web_push
                return self._changed(await self._store.write(unit, principal, app_id, keys, keys.facts()))
            return await self.put_checked(principal, app_id, keys)
        if isinstance(content, FcmContent):
            account = await self.checked(lambda: fcm_service_account(content.service_account))
            return await self.put_checked(principal, app_id, account)
        now = self._clock.now_ms()
        credential = await self.checked(lambda: apns_credential(content, now))
        return await self.put_checked(principal, app_id, credential)

    async def checked(self, form: Callable[[], T]) -> T:
        """What a form makes of the files, in a thread of ours: it waits for a process. Raises what the form raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, form)

    async def put_checked(self, principal: Principal, app_id: str, credential: Credential) -> PushCredential:
        """Stores one that was checked before."""
        unit = self._credentials.put
        return self._changed(await self._store.write(unit, principal, app_id, credential, credential.facts()))

    async def remove(self, principal: Principal, app_id: str, kind: CredentialKind) -> None:
        """Forgets one. Raises PushCredentialNotFound."""
        await self._store.write(self._credentials.remove, principal, app_id, kind)
        self._live.forget(app_id, kind)

    async def clear(self, principal: Principal, app_id: str) -> None:
        """Forgets all."""
        await self._store.write(self._credentials.clear, principal, app_id)
        for kind in KINDS:
            self._live.forget(app_id, kind)

    async def try_out(self, app_id: str, kind: CredentialKind) -> Trial:
        """Asks the provider. Raises PushCredentialNotFound, and InvalidRequest where there is nobody to ask."""
        row = await self._store.read(self._credentials.one, app_id, kind)
        if kind == "webpush":
            raise invalid_field("kind", "There is nobody to ask: each browser has a push service of its own.", kind)
        stored = self._credentials.open(row)
        answer = await self._trials.try_out(stored)
        judged = None
        if answer.says is not None:
            judged = await self._live.judge(stored, answer.says, answer.reason)
        accepted = None if answer.says is None else answer.says == "OK"
        return Trial(accepted, answer.reason, answer.status, self._shown(judged or row))

    def _changed(self, row: CredentialRow) -> PushCredential:
        self._live.forget(row.app_id, row.kind)
        return self._shown(row)

    def _shown(self, row: CredentialRow) -> PushCredential:
        return PushCredential(
            kind=row.kind,
            form=row.form,
            status=row.status,
            status_reason=row.status_reason,
            timestamp_status=row.status_at,
            timestamp_created=row.created_at,
            timestamp_expires=row.not_after,
            expiry=expiry(row.not_after, self._clock.now_ms()),
            **facts_of(row.public),
        )


def apns_credential(content: ApnsContent, now: int) -> Credential:
    """The credential of one of the three forms. Raises InvalidRequest that names the field."""
    forms = [
        name
        for name, value in (("keyFile", content.key_file), ("certificate", content.certificate), ("p12", content.p12))
        if value is not None
    ]
    if len(forms) > 1:
        raise invalid_field(forms[1], f"Send either {forms[0]} or {forms[1]}.")
    wish = Wish(content.bundle_id, content.environment)
    if content.certificate is not None:
        return apns_certificate(content.certificate, content.private_key, content.password, wish, now)
    if content.p12 is not None:
        return apns_p12(content.p12, content.password, wish, now)
    return apns_token_key(
        key_id=_required("keyId", content.key_id),
        team_id=_required("teamId", content.team_id),
        bundle_id=_required("bundleId", content.bundle_id),
        key_file=_required("keyFile", content.key_file),
        environment=content.environment,
    )


def _required(name: str, value: str | None) -> str:
    if value is None:
        raise invalid_field(name, "This field is required, unless certificate or p12 is sent.")
    return value
