"""Tells the caller that something happens while the phone wakes: 183, and early media where that is possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ringback.protocols.sip.sdp import audio_of
from ringback.sip import HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from ringback.protocols.sip.message import Request
    from ringback.protocols.sip.sdp import Audio
    from ringback.sip import IncomingRequest

CONTACT = ("Contact", f"<sip:{HERE}>")
SDP = "application/sdp"


class Stream(Protocol):
    """Early media of one call. `body`: the answer to the caller's offer, or our offer."""

    @property
    def body(self) -> bytes:
        """SDP."""
        ...

    def play(self, audio: Audio | None) -> None:
        """The caller has answered our offer."""
        ...

    def stop(self) -> None:
        """No further packets."""
        ...


class Playing(Protocol):
    """Who plays prompts; `EarlyMedia` does."""

    def begin(self, offer: bytes, prompt: str | None, *, loop: bool | None) -> Stream | None:
        """Begins to play to whoever made the offer; None when it cannot be done, for whatever reason."""
        ...

    def offer(self, prompt: str | None, *, loop: bool | None) -> Stream | None:
        """Offers to play to a caller that made no offer; None as above."""
        ...


class CallProgress:
    """Without `playing` there is no early media.

    `trusted`: peers whose callers may listen anywhere. Everybody else is sent packets only to the address that the call
    came from, so that no subscriber can have us send them to somebody who never asked.
    """

    def __init__(self, playing: Playing | None, trusted: Container[str]) -> None:
        self._playing = playing
        self._trusted = trusted

    def begin(self, incoming: IncomingRequest, prompt: str | None, *, loop: bool | None) -> Callable[[], None]:
        """Answers 183, reliably where the caller wants that; what it returns ends the early media.

        A caller without G.711 hears nothing: the phone may still talk to it. So does one that made no offer, unless it
        confirms a reliable 183, and with that can answer ours (RFC 3262 §5).
        """
        stream = self._stream(incoming, prompt, loop=loop)
        if stream is None:
            incoming.respond_reliably(183, headers=[CONTACT])
            return _nothing
        incoming.respond_reliably(183, headers=[CONTACT], body=stream.body, content_type=SDP)
        return stream.stop

    def _stream(self, incoming: IncomingRequest, prompt: str | None, *, loop: bool | None) -> Stream | None:
        if self._playing is None:
            return None
        request = incoming.request
        if request.body:
            if not _has_sdp(request) or not self._may_listen(incoming, request.body):
                return None
            return self._playing.begin(request.body, prompt, loop=loop)
        if not incoming.takes_reliable:
            return None
        stream = self._playing.offer(prompt, loop=loop)
        if stream is not None:
            incoming.on_confirmed = lambda prack: stream.play(self._answer_in(prack, incoming))
        return stream

    def _answer_in(self, prack: Request, incoming: IncomingRequest) -> Audio | None:
        return audio_of(prack.body) if _has_sdp(prack) and self._may_listen(incoming, prack.body) else None

    def _may_listen(self, incoming: IncomingRequest, description: bytes) -> bool:
        caller = incoming.source.host
        if caller in self._trusted:
            return True
        audio = audio_of(description)
        return audio is None or audio.remote is None or audio.remote[0] == caller.partition("%")[0]


def _has_sdp(request: Request) -> bool:
    return (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower() == SDP


def _nothing() -> None:
    """There is no early media to end."""
