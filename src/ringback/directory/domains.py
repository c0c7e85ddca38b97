"""Domains: the hosts behind the @ of subscribers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ringback.clock import Clock
from ringback.directory import queries_sip as queries
from ringback.directory.model_sip import Domain, Preferences, write_json
from ringback.errors import AppNotFound, DomainExists, DomainInUse, DomainNotFound
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.directory.needs import KnownApps
    from ringback.principal import Principal


class Domains:
    """Domains. Methods whose first argument is `tx` are units of work. Names are taken in any case, kept in lower."""

    def __init__(self, *, clock: Clock, audit: AuditLog, apps: KnownApps) -> None:
        self._clock = clock
        self._audit = audit
        self._apps = apps

    # looking ----------------------------------------------------------------------------------------------------------

    async def find(self, tx: Tx, name: str) -> Domain | None:
        """Unit: one domain, or None."""
        return await tx.one(queries.domain_by_name, name.lower())

    async def show(self, tx: Tx, name: str) -> Domain:
        """Unit: one domain. Raises DomainNotFound."""
        domain = await self.find(tx, name)
        if domain is None:
            raise DomainNotFound
        return domain

    async def all(self, tx: Tx) -> list[Domain]:
        """Unit: every domain, by name; for what is written once, such as a proxy's configuration."""
        return await tx.all(queries.all_domains)

    async def page(self, tx: Tx, after: str, limit: int) -> list[Domain]:
        """Unit: domains by name, from the first one after `after`."""
        return await tx.all(queries.domains_after, after, limit)

    # changing ---------------------------------------------------------------------------------------------------------

    async def create(self, tx: Tx, principal: Principal, name: str, app_ids: tuple[str, ...]) -> Domain:
        """Unit: a new domain. Raises DomainExists, AppNotFound; UniqueViolation when it was made at the same moment."""
        name = name.lower()
        if await self.find(tx, name) is not None:
            raise DomainExists
        app_ids = await self._known(tx, app_ids)
        domain = Domain(name, app_ids, Preferences(), self._clock.now_ms(), 1)
        await tx.run(queries.insert_domain, name, write_json(app_ids), "{}", domain.created_at, 1)
        await self._record(tx, principal, "domain.create", name, {"appIds": app_ids})
        return domain

    async def set_apps(self, tx: Tx, principal: Principal, name: str, app_ids: tuple[str, ...]) -> Domain:
        """Unit: whose phones the domain's calls may wake. Raises DomainNotFound, AppNotFound."""
        domain = await self._take(tx, name)
        changed = await self._known(tx, app_ids)
        if changed == domain.app_ids:
            return domain
        details = {"appIds": changed, "before": domain.app_ids}
        return await self._save(tx, principal, domain, "domain.set_apps", details, app_ids=changed)

    async def set_preferences(
        self,
        tx: Tx,
        principal: Principal,
        name: str,
        said: dict[str, Any],
        whole: bool,  # noqa: FBT001 - units take their arguments by position
    ) -> Domain:
        """Unit: what the domain says; None = nothing any more. `whole`: what is not said is nothing, too.

        Raises DomainNotFound.
        """
        domain = await self._take(tx, name)
        wanted = msgspec.structs.replace(Preferences() if whole else domain.preferences, **said)
        if wanted == domain.preferences:
            return domain
        details = {"preferences": msgspec.to_builtins(wanted)}
        return await self._save(tx, principal, domain, "domain.set_preferences", details, preferences=wanted)

    async def delete(self, tx: Tx, principal: Principal, name: str) -> None:
        """Unit: forgets a domain. Raises DomainNotFound, and DomainInUse while it has subscribers."""
        domain = await self._take(tx, name)
        if await tx.one(queries.any_subscriber, domain.name) is not None:
            raise DomainInUse
        await tx.run(queries.delete_domain, domain.name, domain.version)
        await self._record(tx, principal, "domain.delete", domain.name)

    # inside -----------------------------------------------------------------------------------------------------------

    async def _take(self, tx: Tx, name: str) -> Domain:
        domain = await tx.one(queries.domain_to_change, name.lower())
        if domain is None:
            raise DomainNotFound
        return domain

    async def _known(self, tx: Tx, app_ids: tuple[str, ...]) -> tuple[str, ...]:
        unique = tuple(sorted(set(app_ids)))
        for app_id in unique:
            if "\0" in app_id or not await self._apps.exists(tx, app_id):
                raise AppNotFound(f"There is no application {app_id}.")
        return unique

    async def _save(
        self, tx: Tx, principal: Principal, domain: Domain, action: str, details: dict[str, Any], **fields: Any
    ) -> Domain:
        changed = msgspec.structs.replace(domain, version=domain.version + 1, **fields)
        values = (write_json(changed.app_ids), write_json(changed.preferences))
        await tx.run(queries.save_domain, domain.name, domain.version, *values)
        await self._record(tx, principal, action, domain.name, details)
        return changed

    async def _record(
        self, tx: Tx, principal: Principal, action: str, name: str, details: dict[str, Any] | None = None
    ) -> None:
        await self._audit.record(tx, principal, action, subject_kind="domain", subject_id=name, details=details)
