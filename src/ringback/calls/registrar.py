"""The registrar of embedded mode: phones say where they are, and prove who they are.

Sources: RFC 3261 §10.3, RFC 5626 §6, RFC 8599 §5.6. A REGISTER is for the address that its digest proves, and for no
other. What it changes is acknowledged after COMMIT; calls that wait for the phone hear of it before.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

import msgspec

from ringback.calls.model_bindings import Binding, Registered, Registering
from ringback.calls.push_services import Provider
from ringback.calls.register_request import (
    LONGEST_CALL_ID,
    AskedContact,
    AskedRegistration,
    Lifetimes,
    RegisterRefused,
    read_registration,
    user_agent_of,
)
from ringback.calls.ringing import readable
from ringback.errors import RingbackError, UniqueViolation
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.headers import quoted
from ringback.protocols.sip.uri import parse_uri
from ringback.sip import is_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.calls.bindings import Bindings
    from ringback.calls.needs_bindings import Purrs
    from ringback.calls.push_services import PushServices
    from ringback.calls.sip_proof import SipProof
    from ringback.clock import Clock
    from ringback.directory import SubscriberCredential
    from ringback.sip import IncomingRequest
    from ringback.store import Store

RETRY_AFTER = ("Retry-After", "5")
REFRESH_SECONDS = 130
"""So long before the end a phone that wakes itself renews its binding; RFC 8599 §5.6.1.1 wants more than 120."""


class Registrar:
    """Takes REGISTER. `hear(username, domain, fresh)` is called for bindings that are being made, before COMMIT."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        bindings: Bindings,
        proof: SipProof,
        services: PushServices,
        purrs: Purrs,
        lifetimes: Lifetimes,
        hear: Callable[[str, str, list[Binding]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._bindings = bindings
        self._proof = proof
        self._services = services
        self._purrs = purrs
        self._lifetimes = lifetimes
        self._hear = hear

    async def take(self, incoming: IncomingRequest) -> None:
        """One REGISTER, to its final answer."""
        try:
            await self._take(incoming)
        except RegisterRefused as refused:
            incoming.respond(refused.status, refused.reason, headers=refused.headers)
        except RingbackError:
            incoming.respond(503, headers=[RETRY_AFTER])
        except Exception:
            incoming.respond(500)
            raise

    async def _take(self, incoming: IncomingRequest) -> None:
        try:
            username, domain = _address_of_record(incoming)
        except RegisterRefused as refused:  # nobody has proven anything yet
            incoming.dismiss(refused.status, refused.reason, headers=refused.headers)
            return
        credential = await self._proof.prove(incoming, domain)
        if credential is None:
            return
        if (credential.username, credential.domain) != (username, domain):
            incoming.count("not_yours")
            raise RegisterRefused(403, "Not Your Address")
        asked = read_registration(incoming.request, domain, self._lifetimes)
        _refuse_own_address(asked, incoming)
        asked, capabilities = await self._with_pushes(asked, credential)
        registering = _registering(incoming, credential, asked)
        fresh = _fresh(registering, self._clock.now_ms())
        if fresh:
            self._hear(username, domain, fresh)
        registered = await self._write(registering)
        if registered.refusal is not None:
            raise RegisterRefused(500, "REGISTER Out Of Order")
        self._acknowledge(incoming, asked, registered, capabilities)

    async def _write(self, registering: Registering) -> Registered:
        if not registering.wanted and not registering.remove_all:
            return Registered(tuple(await self._store.read(self._bindings.of, registering.subscriber_id)))
        try:
            return await self._store.write(self._bindings.register, registering)
        except UniqueViolation:  # another REGISTER with the same contact or push token came at the same moment
            return await self._store.write(self._bindings.register, registering)

    # RFC 8599 ---------------------------------------------------------------------------------------------------------

    async def _with_pushes(
        self, asked: AskedRegistration, credential: SubscriberCredential
    ) -> tuple[AskedRegistration, list[str]]:
        """The same with what each phone can be pushed with, and what is answered in Feature-Caps.

        Raises RegisterRefused (555) when a phone names a push service that nobody here can push to.
        """
        contacts: list[AskedContact] = []
        capabilities: list[str] = []
        for contact in asked.contacts:
            push, binding = contact.push, contact.binding
            if push is not None and not push.provider:
                offered = await self._services.offered(credential.domain)
                capabilities += [_capability(one) for one in offered]
            elif push is not None:
                pushes = await self._services.matching(credential.domain, push)
                if pushes is None:
                    raise RegisterRefused(555)
                if binding.expires_seconds > 0:
                    binding = msgspec.structs.replace(binding, pushes=pushes)
                    capabilities.append(self._capability_of(contact, credential))
            contacts.append(msgspec.structs.replace(contact, binding=binding))
        return msgspec.structs.replace(asked, contacts=tuple(contacts)), list(dict.fromkeys(capabilities))

    def _capability_of(self, contact: AskedContact, credential: SubscriberCredential) -> str:
        push, binding = contact.push, contact.binding
        assert push is not None
        said = _capability((push.provider or "").lower())
        if contact.wakes_itself and binding.expires_seconds > 2 * REFRESH_SECONDS:
            said += f';+sip.pnsreg="{REFRESH_SECONDS}"'
        if push.purr is not None:
            said += f';+sip.pnspurr="{self._purrs.of(credential.subscriber_id, binding.instance, binding.contact)}"'
        return said

    # the answer -------------------------------------------------------------------------------------------------------

    def _acknowledge(
        self, incoming: IncomingRequest, asked: AskedRegistration, registered: Registered, capabilities: list[str]
    ) -> None:
        now = self._clock.now_ms()
        written = {contact.binding.contact: contact.written for contact in asked.contacts}
        headers = [("Contact", _shown(binding, written, now)) for binding in registered.bindings]
        headers += [("Feature-Caps", value) for value in capabilities]
        headers.append(("Date", formatdate(now / 1000, usegmt=True)))
        incoming.respond(200, headers=headers)


def _address_of_record(incoming: IncomingRequest) -> tuple[str, str]:
    """Username and domain of To, of which the domain is the one that is asked (§10.3, steps 1 and 5).

    A phone may name the server instead, by an address or as it is advertised.
    """
    request = incoming.request
    try:
        uri, asked_of = request.to.sip_uri, request.request_uri
        if len(request.call_id) > LONGEST_CALL_ID:
            raise RegisterRefused(400, "Call-ID Is Too Long")
    except SipMalformed as error:
        raise RegisterRefused(error.status, error.reason) from error
    if uri.scheme not in {"sip", "sips"} or not uri.user:
        raise RegisterRefused(404)
    names_us = is_address(asked_of.host) or incoming.names_us(asked_of.host, asked_of.port or 5060)
    if asked_of.host != uri.host and not names_us:
        raise RegisterRefused(404)
    return uri.username, uri.host


def _refuse_own_address(asked: AskedRegistration, incoming: IncomingRequest) -> None:
    """A phone is not where we are: a caller would come back and go round."""
    for contact in asked.contacts:
        uri = parse_uri(contact.binding.contact)
        if incoming.names_us(uri.host, uri.port or 5060):
            raise RegisterRefused(400, "Contact Is The Registrar's")


def _registering(incoming: IncomingRequest, credential: SubscriberCredential, asked: AskedRegistration) -> Registering:
    request = incoming.request
    return Registering(
        subscriber_id=credential.subscriber_id,
        user_id=credential.user_id,
        call_id=readable(request.call_id),
        cseq=request.cseq.number,
        user_agent=user_agent_of(request),
        source=str(incoming.source),
        wanted=tuple(contact.binding for contact in asked.contacts),
        remove_all=asked.remove_all,
    )


def _fresh(registering: Registering, now: int) -> list[Binding]:
    """The bindings as they are about to be stored: what a call that waits needs of them."""
    return [
        Binding(
            id="",
            subscriber_id=registering.subscriber_id,
            contact=wanted.contact,
            instance=wanted.instance,
            reg_id=wanted.reg_id,
            q=wanted.q,
            call_id=registering.call_id,
            cseq=registering.cseq,
            user_agent=registering.user_agent,
            source=registering.source,
            push_token_id=None,
            registered_at=now,
            expires_at=now + wanted.expires_seconds * 1000,
            refresh_pushed_at=None,
            version=0,
        )
        for wanted in registering.wanted
        if wanted.expires_seconds > 0
    ]


def _capability(provider: Provider | str) -> str:
    return f'*;+sip.pns="{provider}"'


def _shown(binding: Binding, written: dict[str, str], now: int) -> str:
    """One Contact of the 200: the phone that asks finds its own as it wrote it, the others are without push tokens."""
    parts: list[str] = [f"<{written.get(binding.contact, binding.contact)}>"]
    if binding.q is not None:
        parts.append(f"q={binding.q}")
    if binding.instance is not None:
        parts.append(f"+sip.instance={quoted(binding.instance)}")
    if binding.reg_id:
        parts.append(f"reg-id={binding.reg_id}")
    parts.append(f"expires={binding.seconds_left(now)}")
    return ";".join(parts)
