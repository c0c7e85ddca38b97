"""The native API: subscribers, their credentials, preferences and bindings (role admin)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar.params import FromPath, QueryParameter, RawBody

from ringback.directory.api_domains import shown_preferences
from ringback.directory.domains import Domains
from ringback.directory.model_sip import CredentialNote, Subscriber, effective
from ringback.directory.passwords import Passwords
from ringback.directory.schema_sip import (
    BindingList,
    BindingsDeleted,
    ChangeSubscriber,
    CreateSubscriber,
    SetPreferences,
    SetSipPassword,
    ShownBinding,
    ShownCredential,
    ShownPreferences,
    ShownSubscriber,
    SipPasswordSet,
    SubscriberDetail,
    SubscriberPage,
)
from ringback.directory.sip_credentials import Ha1, SipCredentials, ha1_of
from ringback.directory.subscribers import NewSubscriber, Subscribers
from ringback.errors import SubscriberExists, UniqueViolation, invalid_field
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
from ringback.store import Store, Tx

TAG = "Subscribers"
RealmName = Annotated[str, QueryParameter(name="realm", max_length=255)]
SUBSCRIBERS = "/domains/{domain:str}/subscribers"
SUBSCRIBER = SUBSCRIBERS + "/{username:str}"
PREFERENCES = SUBSCRIBER + "/preferences"


def routes(
    store: Store, domains: Domains, subscribers: Subscribers, credentials: SipCredentials, passwords: Passwords
) -> Routes:
    """The handlers."""
    return (
        _of_subscribers(store, subscribers, credentials)
        + _of_passwords(store, credentials, passwords)
        + _of_preferences(store, domains, subscribers)
        + _of_bindings(store, subscribers)
    )


def _of_subscribers(store: Store, subscribers: Subscribers, credentials: SipCredentials) -> Routes:
    @native.post(
        SUBSCRIBERS,
        tag=TAG,
        operation_id="createSubscriber",
        summary="Somebody who is called at username@domain, and belongs to a user.",
        request=CreateSubscriber,
        status=201,
    )
    async def create_subscriber(request: Req, domain: FromPath[str], body: RawBody) -> ShownSubscriber:
        wanted = decode(body, CreateSubscriber)
        new = NewSubscriber(domain, wanted.username, wanted.user_id, wanted.display_name, wanted.disabled)
        if wanted.password is not None:
            realm = credentials.realm_of(domain)
            new = msgspec.structs.replace(new, ha1={realm: ha1_of(wanted.username, realm, wanted.password)})
        try:
            return _shown(await store.write(subscribers.create, principal_of(request), new))
        except UniqueViolation as error:
            raise SubscriberExists(cause=error) from error

    @native.get(SUBSCRIBERS, tag=TAG, operation_id="listSubscribers", summary="Subscribers of a domain, by name.")
    async def list_subscribers(domain: FromPath[str], cursor: Cursor = "", limit: Limit = 50) -> SubscriberPage:
        found = await store.read(subscribers.page, domain, open_cursor(cursor), limit + 1)
        page, next_cursor = cut_page(found, limit, lambda subscriber: subscriber.username)
        return SubscriberPage([_shown(subscriber) for subscriber in page], next_cursor)

    @native.get(SUBSCRIBER, tag=TAG, operation_id="getSubscriber", summary="One subscriber.")
    async def get_subscriber(domain: FromPath[str], username: FromPath[str]) -> SubscriberDetail:
        async def read(tx: Tx) -> tuple[Subscriber, list[CredentialNote]]:
            subscriber = await subscribers.show(tx, domain, username)
            return subscriber, await credentials.notes(tx, subscriber.id)

        subscriber, notes = await store.read(read)
        known = [ShownCredential(note.realm, _algorithms(note), note.changed_at) for note in notes]
        return SubscriberDetail(**msgspec.structs.asdict(_shown(subscriber)), credentials=known)

    @native.put(
        SUBSCRIBER,
        tag=TAG,
        operation_id="changeSubscriber",
        summary="Another user or name, or whether it may be used: a disabled one registers nowhere and is not woken.",
        request=ChangeSubscriber,
    )
    async def change_subscriber(
        request: Req, domain: FromPath[str], username: FromPath[str], body: RawBody
    ) -> ShownSubscriber:
        wanted = msgspec.structs.asdict(decode(body, ChangeSubscriber))
        said = {name: value for name, value in wanted.items() if value is not msgspec.UNSET}
        return _shown(await store.write(subscribers.change, principal_of(request), domain, username, said))

    @native.delete(
        SUBSCRIBER,
        tag=TAG,
        operation_id="deleteSubscriber",
        summary="Forgets a subscriber with its credentials, its bindings and the push tokens that came with them.",
    )
    async def delete_subscriber(request: Req, domain: FromPath[str], username: FromPath[str]) -> Ok:
        await store.write(subscribers.delete, principal_of(request), domain, username)
        return Ok()

    return Routes(internal=[create_subscriber, list_subscribers, get_subscriber, change_subscriber, delete_subscriber])


def _of_passwords(store: Store, credentials: SipCredentials, passwords: Passwords) -> Routes:
    @native.put(
        SUBSCRIBER + "/password",
        tag=TAG,
        operation_id="setSubscriberPassword",
        summary="Another password of SIP, or its hash; without both one is made and shown this once.",
        request=SetSipPassword,
    )
    async def set_password(
        request: Req, domain: FromPath[str], username: FromPath[str], body: RawBody
    ) -> SipPasswordSet:
        wanted = decode(body, SetSipPassword, optional=True)
        principal = principal_of(request)
        if wanted.ha1 is not None:
            ha1 = _given_ha1(wanted)
            return _set(await store.write(credentials.set_ha1, principal, domain, username, ha1, wanted.realm))
        password = wanted.password or passwords.new_password()
        arguments = (principal, domain, username, password, wanted.realm)
        return _set(await store.write(credentials.set_password, *arguments), None if wanted.password else password)

    @native.delete(
        SUBSCRIBER + "/password",
        tag=TAG,
        operation_id="deleteSubscriberPassword",
        summary="The subscriber can be proved no more: in one realm, or without `realm` in all.",
    )
    async def delete_password(
        request: Req, domain: FromPath[str], username: FromPath[str], realm: RealmName = ""
    ) -> Ok:
        await store.write(credentials.forget, principal_of(request), domain, username, realm or None)
        return Ok()

    return Routes(internal=[set_password, delete_password])


def _of_preferences(store: Store, domains: Domains, subscribers: Subscribers) -> Routes:
    async def shown(tx: Tx, subscriber: Subscriber) -> ShownPreferences:
        domain = await domains.show(tx, subscriber.domain)
        held = effective(subscribers.built_in, domain.preferences, subscriber.preferences)
        return shown_preferences(subscriber.preferences, held)

    @native.get(
        PREFERENCES,
        tag=TAG,
        operation_id="getSubscriberPreferences",
        summary="What the subscriber says, what holds, and which level decided it.",
    )
    async def get_preferences(domain: FromPath[str], username: FromPath[str]) -> ShownPreferences:
        async def read(tx: Tx) -> ShownPreferences:
            return await shown(tx, await subscribers.show(tx, domain, username))

        return await store.read(read)

    async def save(request: Req, domain: str, username: str, body: bytes, *, whole: bool) -> ShownPreferences:
        said, principal = decode(body, SetPreferences).said(), principal_of(request)

        async def write(tx: Tx) -> ShownPreferences:
            return await shown(tx, await subscribers.set_preferences(tx, principal, domain, username, said, whole))

        return await store.write(write)

    @native.put(
        PREFERENCES,
        tag=TAG,
        operation_id="setSubscriberPreferences",
        summary="All that the subscriber says; for what is absent or null, its domain decides.",
        request=SetPreferences,
    )
    async def set_preferences(
        request: Req, domain: FromPath[str], username: FromPath[str], body: RawBody
    ) -> ShownPreferences:
        return await save(request, domain, username, body, whole=True)

    @native.patch(
        PREFERENCES,
        tag=TAG,
        operation_id="changeSubscriberPreferences",
        summary="Changes what the subscriber says: what is absent stays, for null its domain decides.",
        request=SetPreferences,
    )
    async def change_preferences(
        request: Req, domain: FromPath[str], username: FromPath[str], body: RawBody
    ) -> ShownPreferences:
        return await save(request, domain, username, body, whole=False)

    return Routes(internal=[get_preferences, set_preferences, change_preferences])


def _of_bindings(store: Store, subscribers: Subscribers) -> Routes:
    @native.get(
        SUBSCRIBER + "/bindings",
        tag=TAG,
        operation_id="listBindings",
        summary="Where the subscriber is reached at the moment, where Ringback is the registrar.",
    )
    async def list_bindings(domain: FromPath[str], username: FromPath[str]) -> BindingList:
        found = await store.read(subscribers.bindings, domain, username)
        return BindingList(
            [
                ShownBinding(one.contact, one.instance, one.user_agent, one.source, one.registered_at, one.expires_at)
                for one in found
            ]
        )

    @native.delete(
        SUBSCRIBER + "/bindings",
        tag=TAG,
        operation_id="deleteBindings",
        summary="The subscriber is reached nowhere until a phone registers again; calls still wake its phones.",
    )
    async def delete_bindings(request: Req, domain: FromPath[str], username: FromPath[str]) -> BindingsDeleted:
        return BindingsDeleted(await store.write(subscribers.unbind, principal_of(request), domain, username))

    return Routes(internal=[list_bindings, delete_bindings])


def _shown(subscriber: Subscriber) -> ShownSubscriber:
    return ShownSubscriber(
        address=subscriber.address,
        username=subscriber.username,
        domain=subscriber.domain,
        user_id=subscriber.user_id,
        display_name=subscriber.display_name,
        disabled=subscriber.disabled,
        created_at=subscriber.created_at,
    )


def _set(subscriber: Subscriber, password: str | None = None) -> SipPasswordSet:
    return SipPasswordSet(subscriber.address, password)


def _algorithms(note: CredentialNote) -> list[str]:
    return [name for name, there in (("SHA-256", note.has_sha256), ("MD5", note.has_md5)) if there]


def _given_ha1(wanted: SetSipPassword) -> Ha1:
    """The hashes of another system. Raises InvalidRequest."""
    given = wanted.ha1
    if wanted.password is not None:
        raise invalid_field("ha1", "Send a password or its ha1, not both.")
    if given is None or (given.md5 is None and given.sha256 is None):
        raise invalid_field("ha1", "Send md5 or sha256, or both.")
    md5, sha256 = (None if text is None else bytes.fromhex(text) for text in (given.md5, given.sha256))
    return Ha1(md5, sha256)
