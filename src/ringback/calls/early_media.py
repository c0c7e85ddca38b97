"""What a caller hears while a phone wakes: the answer to its offer, and packets until the call goes on or ends.

Only for callers that the proxy or a password vouches for: the packets go wherever the caller's SDP says.
Source: RFC 3261 §13.2.1, RFC 3264, RFC 3960 §3.1 (one early dialog, nothing is mixed).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge

from ringback.calls.rtp_pump import RtpPump, RtpStream
from ringback.clock import SystemRandomness
from ringback.protocols.sip import sdp

if TYPE_CHECKING:
    from ringback.calls.prompts import Prompts
    from ringback.clock import Randomness

MOST_STREAMS: Final = 2_000
"""What one process can send beside its other work; callers beyond that wait in silence."""
FIGURES_SECONDS: Final = 5.0

_streams = Gauge("ringback_early_media_streams", "Callers that hear a prompt.", multiprocess_mode="livesum")
_packets = Counter("ringback_early_media_packets_total", "Packets of early media, by what became of them.", ("fate",))
_latest = Gauge(
    "ringback_early_media_late_seconds",
    "How late the latest packet of early media was in the last seconds.",
    multiprocess_mode="livemax",
)


class EarlyMediaStream:
    """Early media of one call. `body`: the answer to its offer, or our offer when it made none."""

    __slots__ = ("_early_media", "_open", "_stream", "body")

    def __init__(self, early_media: EarlyMedia, body: bytes, start: Callable[[sdp.Audio], RtpStream | None]) -> None:
        self.body = body
        self._early_media = early_media
        self._open: Callable[[sdp.Audio], RtpStream | None] | None = start
        self._stream: RtpStream | None = None

    def play(self, audio: sdp.Audio | None) -> None:
        """Begins to send to where the caller listens: the answer to our offer; once, and not after `stop`."""
        if self._open is not None and self._stream is None and audio is not None:
            self._stream = self._open(audio)

    def move(self, offer: bytes, *, refused: bool = False) -> bytes:
        """A new offer of a caller whose first one was answered: plays to where it listens now; what it is answered.

        With nothing when the offer cannot be read. `refused`: it may not listen there.
        """
        body, audio = self._early_media.answer_again(offer, self.body, refused=refused)
        if body and self._open is not None:
            self.body = body
            self._pause()
            self.play(audio)
        return body

    def stop(self) -> None:
        """No further packets."""
        self._pause()
        self._open = None

    def _pause(self) -> None:
        if self._stream is not None:
            self._early_media.pump.stop(self._stream)
        self._stream = None


class EarlyMedia:
    """Plays prompts, as G.711, from one socket; made by `open`."""

    def __init__(self, prompts: Prompts, pump: RtpPump, *, randomness: Randomness, most_streams: int) -> None:
        self._prompts = prompts
        self._randomness = randomness
        self._most = most_streams
        host, self._port = pump.address
        self._own = host.partition("%")[0]
        self._is_ipv6 = ":" in host
        self._is_everywhere = ipaddress.ip_address(self._own).is_unspecified
        self._is_both = self._is_ipv6 and self._is_everywhere
        self._figures: asyncio.TimerHandle | None = None
        self._shown = (0, 0)
        self.pump = pump

    @classmethod
    async def open(
        cls,
        prompts: Prompts,
        host: str,
        port: int,
        *,
        randomness: Randomness | None = None,
        most_streams: int = MOST_STREAMS,
    ) -> EarlyMedia:
        """Takes one UDP socket. host "::" or "0.0.0.0" is every address. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        sending = socket.socket(family, kind, protocol)
        try:
            if family == socket.AF_INET6:
                sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
            sending.bind(address)
            made = cls(
                prompts, RtpPump(sending), randomness=randomness or SystemRandomness(), most_streams=most_streams
            )
        except BaseException:
            sending.close()
            raise
        made._show()
        return made

    def begin(self, offer: bytes, prompt: str | None, *, loop: bool | None) -> EarlyMediaStream | None:
        """Answers an offer and begins to play; None when the caller would hear nothing.

        That is: no G.711 in it, no address that can be sent to, or too many streams.
        """
        if not self._has_room:
            return None
        host = self._host_for(offer)
        answer = sdp.answer_to_offer(offer, host, self._port, self._session_id()) if host is not None else None
        if answer is None or answer.remote is None or not self._reaches(answer.remote[0]):
            return None
        made = self._made(answer.body, prompt, loop)
        made.play(_heard(answer))
        return made

    def answer_again(self, offer: bytes, before: bytes, *, refused: bool) -> tuple[bytes, sdp.Audio | None]:
        """The answer to a new offer of a session, and whom to play to. `before`: the answer to the one before."""
        number, version = sdp.origin_of(before)
        host = self._host_for(offer)
        answer = None
        if host is not None and not refused:
            answer = sdp.answer_to_offer(offer, host, self._port, number, version=version + 1)
        if answer is None:
            return sdp.refusal_of_offer(offer, host or self._own, number, version=version + 1), None
        return answer.body, _heard(answer)

    def offer(self, prompt: str | None, *, loop: bool | None) -> EarlyMediaStream | None:
        """An offer for a caller that made none; `play` is to be told the answer.

        None when there is no room, or when the socket has every address, so that none can be named.
        """
        if not self._has_room or self._is_everywhere:
            return None
        body = sdp.offer(self._own, self._port, self._session_id(), direction="sendonly")
        return self._made(body, prompt, loop)

    def close(self) -> None:
        """Ends all streams."""
        if self._figures is not None:
            self._figures.cancel()
        self.pump.close()

    @property
    def _has_room(self) -> bool:
        return self.pump.streams < self._most

    def _made(self, body: bytes, prompt: str | None, loop: bool | None) -> EarlyMediaStream:  # noqa: FBT001
        playing = self._prompts.get(prompt)
        repeats = self._prompts.loop if loop is None else loop

        def start(audio: sdp.Audio) -> RtpStream | None:
            if audio.remote is None or not audio.listens or not self._has_room or not self._reaches(audio.remote[0]):
                return None
            remote = self._as_sent_to(audio.remote)
            numbers = self._randomness.bytes(10)
            stream = RtpStream(playing.payloads(audio.codec), audio.payload_type, remote, numbers, loop=repeats)
            self.pump.start(stream)
            return stream

        return EarlyMediaStream(self, body, start)

    def _host_for(self, offer: bytes) -> str | None:
        """Our address; where we have every one, that which the caller sees, None when there is no way to it."""
        if not self._is_everywhere:
            return self._own
        described = sdp.audio_of(offer)
        return self._own_towards(described.remote[0]) if described is not None and described.remote else None

    def _session_id(self) -> int:
        return int.from_bytes(self._randomness.bytes(4), "big")

    def _reaches(self, remote: str) -> bool:
        return self._is_both or (":" in remote) == self._is_ipv6

    def _as_sent_to(self, remote: tuple[str, int]) -> tuple[str, int]:
        """The address as our socket needs it: one for both families knows IPv4 as a part of IPv6."""
        return (f"::ffff:{remote[0]}", remote[1]) if self._is_ipv6 and ":" not in remote[0] else remote

    def _own_towards(self, remote: str) -> str | None:
        """Our address as that caller sees it; None when there is no way there."""
        family = socket.AF_INET6 if ":" in remote else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as asking:  # no packet is sent by this
            try:
                asking.connect((remote, 9))
            except OSError:
                return None
            return str(asking.getsockname()[0])

    def _show(self) -> None:
        """Brings the figures to /metrics; a packet has no time for it."""
        sent, lost = self._shown
        self._shown = self.pump.sent, self.pump.lost
        _streams.set(self.pump.streams)
        _packets.labels("sent").inc(self.pump.sent - sent)
        _packets.labels("lost").inc(self.pump.lost - lost)
        _latest.set(self.pump.take_latest())
        self._figures = asyncio.get_running_loop().call_later(FIGURES_SECONDS, self._show)


def _heard(answer: sdp.EarlyMediaAnswer) -> sdp.Audio | None:
    """Where the caller listens; None when it does not want to."""
    if answer.remote is None:
        return None
    return sdp.Audio(answer.codec, answer.payload_type, answer.remote, "recvonly")
