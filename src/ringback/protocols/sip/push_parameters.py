"""Where a phone can be woken, as the parameters of its Contact URI say it. Source: RFC 8599 §4.1, §6, §14.3."""

from __future__ import annotations

from typing import Final

import msgspec

from ringback.protocols.sip.uri import SipUri, parse_uri

NAMES: Final = frozenset({"pn-provider", "pn-prid", "pn-param", "pn-purr"})


class PushParameters(msgspec.Struct, frozen=True):
    """`pn-*` of one contact, as written, so with their escapes; "" is a parameter without value.

    provider: "apns", "fcm", "webpush" or what the phone calls it. prid: the push token; None when the phone only asks
    whether the provider is known. param: what belongs to it (the topic, the project). purr: how it is known to proxies.
    """

    provider: str
    prid: str | None = None
    param: str | None = None
    purr: str | None = None


def push_parameters_of(contact: SipUri | str) -> PushParameters | None:
    """Those of a contact's URI; None without pn-provider. Raises SipMalformed for a text that is no URI."""
    uri = parse_uri(contact) if isinstance(contact, str) else contact
    given = uri.parameters
    if "pn-provider" not in given:
        return None
    prid, param, purr = ((given[name] or "") if name in given else None for name in ("pn-prid", "pn-param", "pn-purr"))
    return PushParameters(given["pn-provider"] or "", prid, param, purr)


def without_push_parameters(uri: SipUri) -> SipUri:
    """The same contact, fit to be shown to a caller: a push token is nobody else's (§14.1)."""
    kept = {name: value for name, value in uri.parameters.items() if name not in NAMES}
    return msgspec.structs.replace(uri, parameters=kept) if len(kept) < len(uri.parameters) else uri
