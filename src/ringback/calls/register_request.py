"""What a REGISTER asks for, read and checked; no database, no clock.

Sources: RFC 3261 §10.2 and §10.3 (steps 6 and 7), RFC 5626 §4.2, RFC 8599 §4.1, §5.6.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from ringback.calls.model_bindings import MOST_BINDINGS, WantedBinding
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.headers import NameAddress, parse_number, shown
from ringback.protocols.sip.push_parameters import PushParameters, push_parameters_of, without_push_parameters
from ringback.protocols.sip.uri import SipUri, parse_uri
from ringback.sip import is_address

if TYPE_CHECKING:
    from ringback.protocols.sip.message import Request

LONGEST_CONTACT = 512
LONGEST_WRITTEN = 6_144
"""With the parameters of RFC 8599, of which the endpoint of a web push may be long."""
LONGEST_INSTANCE = 255
LONGEST_USER_AGENT = 255
LONGEST_CALL_ID = 255
HIGHEST_REG_ID = 2**31 - 1
_FOREVER = 2**32 - 1
_Q = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


class RegisterRefused(Exception):
    """A REGISTER that changes nothing: what it is answered."""

    def __init__(self, status: int, reason: str | None = None, *headers: tuple[str, str]) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.headers = headers


class Lifetimes(msgspec.Struct, frozen=True):
    """How long bindings live, in seconds. A phone that does not say gets the longest."""

    shortest: int
    longest: int


class AskedContact(msgspec.Struct, frozen=True):
    """One Contact. `written`: its URI as the phone wrote it. `push`: None when it says nothing of RFC 8599.

    `wakes_itself`: it can renew its binding without being pushed (`+sip.pnsreg`).
    """

    written: str
    binding: WantedBinding
    push: PushParameters | None
    wakes_itself: bool


class AskedRegistration(msgspec.Struct, frozen=True):
    """What a REGISTER asks for; without contacts it only asks which bindings there are."""

    contacts: tuple[AskedContact, ...] = ()
    remove_all: bool = False


def read_registration(request: Request, domain: str, lifetimes: Lifetimes) -> AskedRegistration:
    """Reads it. `domain`: that of the address-of-record. Raises RegisterRefused."""
    try:
        addresses = request.contacts
    except SipMalformed as error:
        raise RegisterRefused(400, f"Contact: {error.reason}") from error
    if any(one.uri == "*" for one in addresses):
        if len(addresses) > 1 or request.expires != 0:
            raise RegisterRefused(400, "Contact * Needs To Be Alone And Expires 0")
        return AskedRegistration(remove_all=True)
    if len(addresses) > MOST_BINDINGS:
        raise RegisterRefused(403, "Too Many Contacts")
    contacts = tuple(_contact(one, request.expires, domain, lifetimes) for one in addresses)
    if len({one.binding.contact for one in contacts}) < len(contacts):
        raise RegisterRefused(400, "The Same Contact Twice")
    return AskedRegistration(contacts)


def _contact(address: NameAddress, expires: int | None, domain: str, lifetimes: Lifetimes) -> AskedContact:
    if len(address.uri) > LONGEST_WRITTEN:
        raise RegisterRefused(400, "Contact Is Too Long")
    try:
        uri = parse_uri(address.uri)
        push = push_parameters_of(uri)
    except SipMalformed as error:
        raise RegisterRefused(400, f"Contact: {error.reason}") from error
    plain = without_push_parameters(uri)
    _check(plain, domain)
    instance = address.parameters.get("+sip.instance") or None
    if instance is not None and (len(instance) > LONGEST_INSTANCE or not instance.isprintable()):
        raise RegisterRefused(400, "Malformed +sip.instance")
    q = address.parameters.get("q")
    binding = WantedBinding(
        contact=str(plain),
        instance=instance,
        reg_id=_reg_id(address) if instance is not None else 0,
        q=q if q is not None and _Q.fullmatch(q) else None,
        expires_seconds=_seconds(address, expires, lifetimes),
    )
    return AskedContact(address.uri, binding, push, "+sip.pnsreg" in address.parameters)


def _check(uri: SipUri, domain: str) -> None:
    """Refuses what no caller is to be sent to: the domain itself, and what would change the caller's INVITE.

    RFC 3261 §19.1.5 says which parts of a URI are dangerous.
    """
    if uri.scheme not in {"sip", "sips"}:
        raise RegisterRefused(400, "Contact Needs To Be A SIP URI")
    if len(str(uri)) > LONGEST_CONTACT:
        raise RegisterRefused(400, "Contact Is Too Long")
    if uri.headers or "method" in uri.parameters or "maddr" in uri.parameters:
        raise RegisterRefused(400, "Contact Must Not Say What Is Sent There")
    # Where the domain is named by an address, phones may be on the same machine.
    if uri.host == domain and (uri.port is None or not is_address(domain)):
        raise RegisterRefused(400, "Contact Is An Address Of The Domain")


def _reg_id(address: NameAddress) -> int:
    text = address.parameters.get("reg-id")
    if text is None:
        return 0
    number = parse_number(text, HIGHEST_REG_ID)
    if not number:
        raise RegisterRefused(400, "Malformed reg-id")
    return number


def _seconds(address: NameAddress, expires: int | None, lifetimes: Lifetimes) -> int:
    """§10.2.1.1 and §10.3 step 7; what is malformed counts as if it were not there."""
    text = address.parameters.get("expires")
    asked = None if text is None else parse_number(text, _FOREVER)
    if asked is None:
        asked = expires if expires is not None else lifetimes.longest
    if 0 < asked < lifetimes.shortest:
        raise RegisterRefused(423, None, ("Min-Expires", str(lifetimes.shortest)))
    return min(asked, lifetimes.longest)


def user_agent_of(request: Request) -> str | None:
    """What the phone calls itself."""
    value = request.headers.get("User-Agent")
    return None if value is None else shown(value)[:LONGEST_USER_AGENT]
