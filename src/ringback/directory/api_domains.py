"""The native API: domains and the preferences of domains (role admin)."""

from __future__ import annotations

import msgspec
from litestar.params import FromPath, RawBody

from ringback.directory.domains import Domains
from ringback.directory.model_sip import Domain, Effective, Preferences, effective
from ringback.directory.schema_sip import (
    ChangeDomain,
    CreateDomain,
    DomainPage,
    EffectivePreferences,
    OwnPreferences,
    SetPreferences,
    ShownDomain,
    ShownPreferences,
)
from ringback.errors import DomainExists, UniqueViolation
from ringback.http import (
    Cursor,
    Limit,
    Ok,
    Req,
    Routes,
    cut_page,
    decode,
    native,
    open_cursor,
    principal_of,
)
from ringback.store import Store

TAG = "Domains"
DOMAIN = "/domains/{domain:str}"
PREFERENCES = DOMAIN + "/preferences"


def routes(store: Store, domains: Domains, built_in: Preferences) -> Routes:
    """The handlers. `built_in`: what holds where nobody says anything."""
    return _of_domains(store, domains) + _of_preferences(store, domains, built_in)


def _of_domains(store: Store, domains: Domains) -> Routes:
    @native.post(
        "/domains",
        tag=TAG,
        operation_id="createDomain",
        summary="A domain of SIP, and the apps whose phones its calls may wake.",
        request=CreateDomain,
        status=201,
    )
    async def create_domain(request: Req, body: RawBody) -> ShownDomain:
        new = decode(body, CreateDomain)
        try:
            return shown(await store.write(domains.create, principal_of(request), new.domain, tuple(new.app_ids)))
        except UniqueViolation as error:
            raise DomainExists(cause=error) from error

    @native.get("/domains", tag=TAG, operation_id="listDomains", summary="Domains, by name.")
    async def list_domains(cursor: Cursor = "", limit: Limit = 50) -> DomainPage:
        found = await store.read(domains.page, open_cursor(cursor), limit + 1)
        page, next_cursor = cut_page(found, limit, lambda domain: domain.name)
        return DomainPage([shown(domain) for domain in page], next_cursor)

    @native.get(DOMAIN, tag=TAG, operation_id="getDomain", summary="One domain.")
    async def get_domain(domain: FromPath[str]) -> ShownDomain:
        return shown(await store.read(domains.show, domain))

    @native.put(
        DOMAIN,
        tag=TAG,
        operation_id="changeDomain",
        summary="Other apps whose phones the domain's calls may wake.",
        request=ChangeDomain,
    )
    async def change_domain(request: Req, domain: FromPath[str], body: RawBody) -> ShownDomain:
        app_ids = decode(body, ChangeDomain).app_ids
        if app_ids is msgspec.UNSET:
            return shown(await store.read(domains.show, domain))
        return shown(await store.write(domains.set_apps, principal_of(request), domain, tuple(app_ids)))

    @native.delete(
        DOMAIN,
        tag=TAG,
        operation_id="deleteDomain",
        summary="Forgets a domain; 409 while it has subscribers.",
        may_conflict=True,
    )
    async def delete_domain(request: Req, domain: FromPath[str]) -> Ok:
        await store.write(domains.delete, principal_of(request), domain)
        return Ok()

    return Routes(internal=[create_domain, list_domains, get_domain, change_domain, delete_domain])


def _of_preferences(store: Store, domains: Domains, built_in: Preferences) -> Routes:
    def shown_here(domain: Domain) -> ShownPreferences:
        return shown_preferences(domain.preferences, effective(built_in, domain.preferences))

    @native.get(
        PREFERENCES,
        tag=TAG,
        operation_id="getDomainPreferences",
        summary="What the domain says, and what holds for its subscribers that say nothing.",
    )
    async def get_preferences(domain: FromPath[str]) -> ShownPreferences:
        return shown_here(await store.read(domains.show, domain))

    @native.put(
        PREFERENCES,
        tag=TAG,
        operation_id="setDomainPreferences",
        summary="All that the domain says; what is absent or null, it does not say any more.",
        request=SetPreferences,
    )
    async def set_preferences(request: Req, domain: FromPath[str], body: RawBody) -> ShownPreferences:
        said = decode(body, SetPreferences).said()
        return shown_here(await store.write(domains.set_preferences, principal_of(request), domain, said, True))

    @native.patch(
        PREFERENCES,
        tag=TAG,
        operation_id="changeDomainPreferences",
        summary="Changes what the domain says: what is absent stays, null is not said any more.",
        request=SetPreferences,
    )
    async def change_preferences(request: Req, domain: FromPath[str], body: RawBody) -> ShownPreferences:
        said = decode(body, SetPreferences).said()
        return shown_here(await store.write(domains.set_preferences, principal_of(request), domain, said, False))

    return Routes(internal=[get_preferences, set_preferences, change_preferences])


def shown(domain: Domain) -> ShownDomain:
    """A domain over the wire."""
    return ShownDomain(domain.name, list(domain.app_ids), domain.created_at)


def shown_preferences(own: Preferences, held: Effective) -> ShownPreferences:
    """The preferences of one level over the wire."""
    values = msgspec.structs.asdict(held)
    decided_by = values.pop("decided_by")
    return ShownPreferences(OwnPreferences(**msgspec.structs.asdict(own)), EffectivePreferences(**values), decided_by)
