"""What two phones agree on about the sound of a call. Source: RFC 3264.

A phone without sound agrees as well, so that a call can go through: it hears nothing and sends nothing.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ringback.protocols.sip import sdp

if TYPE_CHECKING:
    from ringback.protocols.sip.message import Response
    from ringback.softphone.sip_media import CallMedia

SDP = "application/sdp"
_NOWHERE = ("127.0.0.1", 9)
_SESSION = 1


def offer_sound(media: CallMedia | None) -> bytes:
    """Our offer."""
    if media is None:
        return sdp.offer(*_NOWHERE, _SESSION, direction="inactive")
    return sdp.offer(*media.address, _SESSION)


def answer_sound(media: CallMedia | None, offer: bytes) -> bytes | None:
    """Our answer to an offer, and the sound begins; None when there is no codec that both know."""
    host, port = _NOWHERE if media is None else media.address
    answer = sdp.answer_to_offer(offer, host, port, _SESSION)
    if answer is None:
        return None
    if media is not None and answer.remote is not None:
        with contextlib.suppress(OSError):
            media.start(answer.remote, answer.payload_type)
    return answer.body


def hear_answer(media: CallMedia | None, answer: bytes) -> None:
    """Their answer to our offer came with the 2xx: the sound begins, unless it says that nothing is to be sent."""
    audio = sdp.audio_of(answer)
    if media is None or audio is None or audio.remote is None or audio.direction not in {"sendrecv", "recvonly"}:
        return
    media.start(audio.remote, audio.payload_type)


def is_sound(response: Response) -> bool:
    """Whether a provisional answer says where sound comes from."""
    kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    return kind == SDP and bool(response.body)
