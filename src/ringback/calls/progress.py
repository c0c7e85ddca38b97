"""Tells the caller that something happens while the phone wakes: 183, and early media where that is possible."""

from __future__ import annotations

from functools import partial
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

    def move(self, offer: bytes, *, refused: bool = False) -> bytes:
        """The caller has made a new offer; what it is answered, b"" when it cannot be read. `refused`: not there."""
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
            stream = self._playing.begin(request.body, prompt, loop=loop)
            if stream is not None and incoming.takes_reliable:
                incoming.on_confirmed = partial(self._moved, stream, incoming)
            return stream
        if not incoming.takes_reliable:
            return None
        stream = self._playing.offer(prompt, loop=loop)
        if stream is not None:
            incoming.on_confirmed = partial(self._answered, stream, incoming)
        return stream

    def _answered(self, stream: Stream, incoming: IncomingRequest, prack: Request) -> bytes:
        """The caller answers our offer."""
        listens = _has_sdp(prack) and self._may_listen(incoming, prack.body)
        stream.play(audio_of(prack.body) if listens else None)
        return b""

    def _moved(self, stream: Stream, incoming: IncomingRequest, prack: Request) -> bytes:
        """The caller, whose offer was answered, makes another one, which its 200 answers (RFC 3262 §5)."""
        if not _has_sdp(prack):
            return b""
        return stream.move(prack.body, refused=not self._may_listen(incoming, prack.body))

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
