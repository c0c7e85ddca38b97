"""The Contacts of an answer that sends a caller to the callee's phones. Sources: RFC 3261 §8.3, §20.10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.uri import parse_uri, same_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringback.calls.model_bindings import Binding

THEN_PUSH = "ringback-then"
"""The parameter of the URI that a caller comes back with when the phones that are registered did not take the call."""
_PREFERENCES = ("1.0", "0.9", "0.8", "0.7", "0.6", "0.5", "0.4", "0.3", "0.2")


def merged(new: Iterable[Binding], old: Iterable[Binding]) -> list[Binding]:
    """`new` bindings, then those of `old` that they do not replace (by contact, or by instance)."""
    found = list(new)
    contacts = {one.contact for one in found}
    instances = {(one.instance, one.reg_id) for one in found if one.instance is not None}
    return found + [one for one in old if one.contact not in contacts and (one.instance, one.reg_id) not in instances]


def in_order(new: Iterable[Binding], old: Iterable[Binding]) -> list[Binding]:
    """`new` bindings without those whose REGISTER was overtaken by that of an `old` one: it is refused (§10.3)."""
    return [one for one in new if not any(_is_overtaken(one, other) for other in old)]


def contact_values(
    bindings: Sequence[Binding],
    *,
    before_all: Iterable[Binding] = (),
    all_at_once: bool = False,
    come_back_to: str = "",
) -> list[str]:
    """The values of Contact, best first, each with a q that is lower than the one before: 1.0, 0.9, … 0.2.

    First the phones' own q decides, then which one was heard of last. `before_all`: those of them that come first
    whatever their q. `come_back_to`: a URI that is to be tried when
    all of them fail, with q 0.1. `all_at_once`: every phone has q 1.0, so that a caller that can rings them together.
    """
    first = {one.contact for one in before_all}
    ordered = sorted(bindings, key=lambda one: (one.contact not in first, -_own_q(one), -one.registered_at))
    places = range(len(ordered)) if not all_at_once else (0,) * len(ordered)
    values = [
        f"<{one.contact}>;q={_PREFERENCES[min(place, len(_PREFERENCES) - 1)]}"
        for one, place in zip(ordered, places, strict=True)
    ]
    if come_back_to:
        values.append(f"<{come_back_to}>;q=0.1")
    return values


def is_sent_to_a_phone(request_uri: str, bindings: Iterable[Binding]) -> bool:
    """Whether a request that came to us names one of the phones itself, by the rules of RFC 3261 §19.1.4.

    Such a caller was told this very address before, or knows it; telling it again is what §8.3 forbids.
    """
    try:
        uri = parse_uri(request_uri)
        return any(uri.host in one.contact.lower() and same_address(uri, parse_uri(one.contact)) for one in bindings)
    except SipMalformed:
        return False


def come_back_uri(request_uri: str) -> str:
    """The URI of the request with THEN_PUSH: not the same as that of the request, as §8.3 asks for.

    "" when it has THEN_PUSH already, so that nobody goes round.
    """
    try:
        uri = parse_uri(request_uri)
    except SipMalformed:
        return ""
    if THEN_PUSH in uri.parameters or uri.scheme == "tel" or uri.headers:
        return ""
    return f"{uri};{THEN_PUSH}=push"


def _is_overtaken(one: Binding, other: Binding) -> bool:
    same_phone = one.instance is not None and (one.instance, one.reg_id) == (other.instance, other.reg_id)
    return one.call_id == other.call_id and one.cseq < other.cseq and (same_phone or one.contact == other.contact)


def _own_q(binding: Binding) -> float:
    return 1.0 if binding.q is None else float(binding.q)
