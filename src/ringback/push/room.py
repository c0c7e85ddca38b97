"""Whether a push can be sent at all: every provider has room for what is never shortened, encrypted or not."""

from __future__ import annotations

import msgspec

from ringback.protocols import jwe
from ringback.push.content import Content
from ringback.push.fitting import ELLIPSIS
from ringback.push.payloads import Encryption, apns_payload, fcm_message, web_push_payload

_PUSH_ID = "0" * 36
_LONGEST_TTL_SECONDS = 9_999_999
# Only the size counts: what this encrypts is thrown away.
_ENCRYPTION = Encryption(bytes(32), bytes(jwe.IV_BYTES))


def check_room(content: Content) -> None:
    """Raises PayloadTooLarge when some provider could not carry this, however short its texts are made.

    All are looked at, also those that no phone of the user has: what a back end may send does not depend on phones.
    """
    least = msgspec.structs.replace(content, push_id=_PUSH_ID, title=_least(content.title), body=_least(content.body))
    if content.live_activity is not None:
        apns_payload(least)
        return
    for encryption in (None, _ENCRYPTION):
        apns_payload(least, encryption=encryption)
        fcm_message(least, "", ttl_seconds=_LONGEST_TTL_SECONDS, encryption=encryption)
        web_push_payload(least, encryption=encryption)


def _least(text: str | None) -> str | None:
    return ELLIPSIS if text else None
