"""What phones are told when a call that they were pushed for is over.

Apple: an app that gets a push through PushKit must show a call, so nothing else goes that way; the same phone is told
by an alert push, to the push token for alerts that its app has given, or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from ringback.push.content import Content

Farewell = Literal["cancelled", "answered_elsewhere", "missed"]
"""Why a call is over: the caller gave up, somebody took it at another phone, or nobody took it in time."""
PUSHKIT = "apns-voip"
MISSED_MS = 60_000
"""How long a phone may take to hear of a call that it missed."""
_TITLES: dict[Farewell, str] = {
    "cancelled": "Missed call",
    "answered_elsewhere": "Answered elsewhere",
    "missed": "Missed call",
}


def farewell_content(rang: Content, why: Farewell) -> Content:
    """What takes back a push of a call: under the id of that push, the reason in `extras.reason`."""
    call = rang.call
    assert call is not None
    return msgspec.structs.replace(
        rang,
        purpose="call_cancelled",
        title=_TITLES[why],
        body=call.display_name or call.display_number or None,
        extras={**rang.extras, "reason": why},
    )
