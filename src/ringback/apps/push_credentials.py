"""The push credentials of apps: stored, replaced, judged and cleared. One of a kind for each app, sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.apps import queries, queries_push_credentials
from ringback.apps.model_push_credentials import CredentialRow
from ringback.clock import Clock, Randomness, new_id
from ringback.errors import AppNotFound, PushCredentialNotFound
from ringback.principal import job
from ringback.push import (
    HEALTH,
    Credential,
    CredentialKind,
    Health,
    StoredCredential,
    WebPushKeys,
    destination_of,
    from_secret,
    kind_of,
)
from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.apps.needs import Waiting
    from ringback.audit import AuditLog
    from ringback.principal import Principal
    from ringback.secrets import Vault

MAX_REASON = 200


class PushCredentials:
    """What administrators and providers do with them. Methods whose first argument is `tx` are units of work.

    `lanes`: the outbox's channels whose deliveries may wait for a credential.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        vault: Vault,
        audit: AuditLog,
        waiting: Waiting,
        lanes: tuple[str, ...],
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._audit = audit
        self._waiting = waiting
        self._lanes = lanes

    async def all(self, tx: Tx, app_id: str) -> list[CredentialRow]:
        """The credentials of an app, by kind. Raises AppNotFound."""
        await self._require_app(tx, app_id)
        return await tx.all(queries_push_credentials.credentials_of_app, app_id)

    async def one(self, tx: Tx, app_id: str, kind: CredentialKind) -> CredentialRow:
        """The credential of one kind. Raises AppNotFound, PushCredentialNotFound."""
        await self._require_app(tx, app_id)
        return await self._find(tx, app_id, kind)

    async def stored(self, tx: Tx, app_id: str, kind: CredentialKind) -> CredentialRow | None:
        """The credential of one kind; None = none, or no such app."""
        return await tx.one(queries_push_credentials.credential_of_kind, app_id, kind)

    async def with_credential(self, tx: Tx, kind: CredentialKind, app_ids: Sequence[str], limit: int) -> Sequence[str]:
        """Those of the apps that have a credential of a kind, in order; where none is named, of all apps, by id."""
        if not app_ids:
            return await tx.all(queries_push_credentials.apps_with_credential, kind, limit)
        return [app_id for app_id in app_ids[:limit] if await self.stored(tx, app_id, kind) is not None]

    async def put(
        self, tx: Tx, principal: Principal, app_id: str, credential: Credential, facts: dict[str, Any]
    ) -> CredentialRow:
        """Stores a checked credential in the place of the one of its kind; what waits for one is tried at once.

        `facts`: those of the credential, made before: they cost mathematics. Raises AppNotFound.
        """
        await self._require_app(tx, app_id)
        kind = kind_of(credential)
        row = await self._put(tx, app_id, credential, facts)
        details = {"kind": kind, "form": row.form, **facts}
        await self._record(tx, principal, "app.push_credential_set", app_id, details)
        await self._hurry(tx, app_id, kind)
        return row

    async def put_web_push(
        self, tx: Tx, principal: Principal, app_id: str, new: WebPushKeys, facts: dict[str, Any]
    ) -> CredentialRow:
        """Like `put`, but keys that are there stay, with the new subject: browsers have subscribed with them."""
        before = await self.stored(tx, app_id, "webpush")
        if before is not None:
            kept = self.open(before).credential
            assert isinstance(kept, WebPushKeys)
            new = msgspec.structs.replace(kept, subject=new.subject)
            facts = {**msgspec.json.decode(before.public), "subject": new.subject}
        return await self.put(tx, principal, app_id, new, facts)

    async def remove(self, tx: Tx, principal: Principal, app_id: str, kind: CredentialKind) -> None:
        """Forgets one. Raises AppNotFound, PushCredentialNotFound."""
        await self._require_app(tx, app_id)
        row = await self._find(tx, app_id, kind)
        await self._remove(tx, principal, row)

    async def clear(self, tx: Tx, principal: Principal, app_id: str) -> None:
        """Forgets all; none is no change. Raises AppNotFound."""
        for row in await self.all(tx, app_id):
            await self._remove(tx, principal, row)

    async def judge(self, tx: Tx, credential: StoredCredential, status: Health, reason: str) -> CredentialRow | None:
        """What a provider's answer says of a credential; the row as it is now, or None when nothing changed."""
        row = await self.stored(tx, credential.app_id, credential.kind)
        if row is None or (row.id, row.version) != (credential.id, credential.version):
            return None
        if (row.status, status) not in HEALTH:
            return None
        reason = reason.replace("\0", "")[:MAX_REASON]
        judged = msgspec.structs.replace(
            row,
            status=HEALTH[row.status, status],
            status_reason=None if status == "OK" else reason,
            status_at=self._clock.now_ms(),
            version=row.version + 1,
        )
        await tx.run(
            queries_push_credentials.judge_credential,
            row.app_id,
            row.kind,
            row.version,
            judged.status,
            judged.status_reason,
            judged.status_at,
        )
        details = {"kind": row.kind, "status": judged.status, "reason": reason}
        await self._record(tx, job("push"), "app.push_credential_judged", row.app_id, details)
        if row.status == "REFUSED":
            await self._hurry(tx, row.app_id, row.kind)
        return judged

    def open(self, row: CredentialRow, credential: Credential | None = None) -> StoredCredential:
        """A row as providers use it; `credential`: what is in it, where that is known."""
        if credential is None:
            credential = from_secret(self._vault.unseal(row.secret_sealed, _identity(row.app_id, row.kind, row.id)))
        return StoredCredential(
            id=row.id,
            app_id=row.app_id,
            kind=row.kind,
            form=row.form,
            version=row.version,
            status=row.status,
            status_reason=row.status_reason,
            not_after=row.not_after,
            credential=credential,
        )

    async def _put(self, tx: Tx, app_id: str, credential: Credential, facts: dict[str, Any]) -> CredentialRow:
        credential_id, kind = new_id(self._clock, self._randomness), kind_of(credential)
        row = await tx.one(
            queries_push_credentials.put_credential,
            app_id,
            kind,
            credential_id,
            credential.form,
            msgspec.json.encode(facts).decode(),
            self._vault.seal(credential.to_secret(), _identity(app_id, kind, credential_id)),
            credential.expires_at,
            self._clock.now_ms(),
        )
        assert row is not None
        return row

    async def _remove(self, tx: Tx, principal: Principal, row: CredentialRow) -> None:
        await tx.run(queries_push_credentials.remove_credential, row.app_id, row.kind, row.version)
        details = {"kind": row.kind, "form": row.form}
        await self._record(tx, principal, "app.push_credential_removed", row.app_id, details)

    async def _hurry(self, tx: Tx, app_id: str, kind: CredentialKind) -> None:
        for lane in self._lanes:
            await self._waiting.hurry(tx, lane, destination_of(kind, app_id))

    async def _require_app(self, tx: Tx, app_id: str) -> None:
        if "\0" in app_id or await tx.one(queries.app_by_id, app_id) is None:
            raise AppNotFound

    async def _find(self, tx: Tx, app_id: str, kind: CredentialKind) -> CredentialRow:
        row = await self.stored(tx, app_id, kind)
        if row is None:
            raise PushCredentialNotFound
        return row

    async def _record(self, tx: Tx, principal: Principal, action: str, app_id: str, details: dict[str, Any]) -> None:
        await self._audit.record(
            tx, principal, action, subject_kind="app", subject_id=app_id, app_id=app_id, details=details
        )


def _identity(app_id: str, kind: CredentialKind, credential_id: str) -> str:
    return f"push_credential:{app_id}:{kind}:{credential_id}"
