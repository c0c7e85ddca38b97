"""As much of session descriptions as a caller needs to hear something: one stream of G.711.

Source: RFC 8866 (SDP), RFC 3264 §5, §6 (offer and answer), RFC 3551 §6 (payload types).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

import msgspec

from ringback.protocols.sip.rtp import PACKET_MS, PCMA, PCMU

LARGEST: Final = 65_535
_MOST_STREAMS: Final = 16
_LOWEST_PORT: Final = 1024  # below are the services that nobody should be made to receive voice on
_CODECS: Final = {"PCMA": PCMA, "PCMU": PCMU}
_KNOWN_TYPES: Final = {str(number): name for name, number in _CODECS.items()}
_PROFILES: Final = frozenset({"RTP/AVP", "RTP/AVPF"})
_ANSWERS: Final = {"sendrecv": "sendrecv", "recvonly": "sendonly", "sendonly": "recvonly", "inactive": "inactive"}
_MEDIA: Final = re.compile(
    r"([\x21-\x7e]{1,32}) ([0-9]{1,5})(?:/[0-9]{1,5})? ([\x21-\x7e]{1,64})((?: [\x21-\x7e]{1,32}){1,64})"
)
_TIMES: Final = re.compile(r"[0-9]{1,20} [0-9]{1,20}")
_MAPPING: Final = re.compile(r"rtpmap:([0-9]{1,3}) ([A-Za-z0-9_-]{1,32})/8000(?:/1)?", re.IGNORECASE)


class EarlyMediaAnswer(msgspec.Struct, frozen=True):
    """Our side of one stream.

    body: the answer. codec: "PCMA" or "PCMU". payload_type: the number to send it under. remote: where to, None when
    nothing is to be sent: the caller listens to nothing, or at an address that voice cannot be sent to.
    ptime: milliseconds in a packet.
    """

    body: bytes
    codec: str
    payload_type: int
    remote: tuple[str, int] | None
    ptime: int = PACKET_MS


class Audio(msgspec.Struct, frozen=True):
    """The stream that a description has for us; the fields are those of `EarlyMediaAnswer`.

    direction: as the writer of the description sees it.
    """

    codec: str
    payload_type: int
    remote: tuple[str, int] | None
    direction: str

    @property
    def listens(self) -> bool:
        """Whether its writer wants to hear."""
        return self.direction in {"sendrecv", "recvonly"}


class _Stream(msgspec.Struct):
    media: str
    port: int
    profile: str
    formats: list[str]
    address: str | None
    direction: str | None = None
    mappings: dict[str, str] = msgspec.field(default_factory=dict)

    def codec(self) -> tuple[str, str] | None:
        """(format, codec) of the first one that we can write."""
        if self.media != "audio" or self.port == 0 or self.profile.upper() not in _PROFILES:
            return None
        for one in self.formats:
            name = self.mappings.get(one, _KNOWN_TYPES.get(one, ""))
            if name in _CODECS and one.isdigit() and int(one) < 128:
                return one, name
        return None


class _Session(msgspec.Struct):
    streams: list[_Stream] = msgspec.field(default_factory=list)
    times: str = "0 0"
    direction: str = "sendrecv"


def answer_to_offer(
    offer: bytes | None, host: str, port: int, session_id: int, *, version: int | None = None
) -> EarlyMediaAnswer | None:
    """Our answer: the first stream of G.711 taken, all others refused with port 0 (§6).

    host, port: where we would receive; an IP address. version: of the session, when it had an answer already. None when
    there is no offer, when it cannot be read, or when neither codec is in it. To an INVITE without an offer one is made
    by `offer`, in a reliable 183 (RFC 3261 §13.2.1); `audio_of` the PRACK then says where to send to.
    """
    session = _read(offer)
    chosen, picked = _first_audio(session) if session is not None else (None, None)
    if session is None or chosen is None or picked is None:
        return None
    number, codec = picked
    heard = chosen.direction or session.direction
    lines = _head(host, session_id, session.times, version)
    for stream in session.streams:
        if stream is chosen:
            lines += [f"m=audio {port} {stream.profile} {number}", f"a=rtpmap:{number} {codec}/8000"]
            lines += [f"a={_ANSWERS[heard]}", f"a=ptime:{PACKET_MS}"]
        else:
            lines.append(f"m={stream.media} 0 {stream.profile} {' '.join(stream.formats)}")
    remote = _remote(chosen) if heard in {"sendrecv", "recvonly"} else None
    return EarlyMediaAnswer(_written(lines), codec, int(number), remote)


def refusal_of_offer(offer: bytes, host: str, session_id: int, *, version: int) -> bytes:
    """The answer that takes none of its streams (§6), b"" when the offer cannot be read."""
    session = _read(offer)
    if session is None:
        return b""
    refused = [f"m={stream.media} 0 {stream.profile} {' '.join(stream.formats)}" for stream in session.streams]
    return _written(_head(host, session_id, session.times, version) + refused)


def origin_of(description: bytes) -> tuple[int, int]:
    """Number and version of a session that we described (RFC 4566 §5.2)."""
    _, number, version, *_ = description.partition(b"o=")[2].split(None, 3)
    return int(number), int(version)


def offer(host: str, port: int, session_id: int, *, direction: str = "sendrecv") -> bytes:
    """An offer of one stream of G.711, A-law preferred."""
    lines = _head(host, session_id, "0 0")
    lines += [f"m=audio {port} RTP/AVP {PCMA} {PCMU}", f"a=rtpmap:{PCMA} PCMA/8000", f"a=rtpmap:{PCMU} PCMU/8000"]
    return _written([*lines, f"a={direction}", f"a=ptime:{PACKET_MS}"])


def audio_of(description: bytes) -> Audio | None:
    """The first stream of G.711 in an offer or an answer; None when there is none or it cannot be read."""
    session = _read(description)
    chosen, picked = _first_audio(session) if session is not None else (None, None)
    if session is None or chosen is None or picked is None:
        return None
    return Audio(picked[1], int(picked[0]), _remote(chosen), chosen.direction or session.direction)


def _first_audio(session: _Session) -> tuple[_Stream | None, tuple[str, str] | None]:
    for stream in session.streams:
        picked = stream.codec()
        if picked is not None:
            return stream, picked
    return None, None


def _remote(stream: _Stream) -> tuple[str, int] | None:
    """Where the other side listens."""
    host = _machine(stream.address or "")
    return None if host is None or stream.port < _LOWEST_PORT else (host, stream.port)


@lru_cache(maxsize=1024)
def _machine(text: str) -> str | None:
    """The address of one machine, in its usual spelling."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a name: nobody is looked up before a push
        return None
    refused = address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255"
    return None if refused else str(address)


def _read(description: bytes | None) -> _Session | None:
    """The streams of a description; None when it cannot be read."""
    if not description or len(description) > LARGEST:
        return None
    session, address = _Session(), None
    for line in description.decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        kind, value = line[:2], line[2:].rstrip(" ")
        if kind == "m=":
            stream = _stream(value, address)
            if stream is None or len(session.streams) == _MOST_STREAMS:
                return None
            session.streams.append(stream)
        elif kind == "c=":
            found = _connection(value)
            if session.streams:
                session.streams[-1].address = found
            else:
                address = found
        elif kind == "a=":
            _attribute(value, session)
        elif kind == "t=" and _TIMES.fullmatch(value):
            session.times = value
    return session


def _stream(value: str, address: str | None) -> _Stream | None:
    found = _MEDIA.fullmatch(value)
    if found is None or int(found[2]) > 65535:
        return None
    return _Stream(found[1], int(found[2]), found[3], found[4].split(), address)


def _connection(value: str) -> str | None:
    words = value.split(" ")
    is_known = len(words) == 3 and words[0] == "IN" and words[1] in {"IP4", "IP6"}
    return words[2] if is_known else None


def _attribute(value: str, session: _Session) -> None:
    stream = session.streams[-1] if session.streams else None
    if value in _ANSWERS:
        if stream is None:
            session.direction = value
        else:
            stream.direction = value
    elif stream is not None and (mapping := _MAPPING.fullmatch(value)):
        stream.mappings[mapping[1]] = mapping[2].upper()


def _head(host: str, session_id: int, times: str, version: int | None = None) -> list[str]:
    place = f"IN IP6 {host}" if ":" in host else f"IN IP4 {host}"
    return ["v=0", f"o=- {session_id} {version or session_id} {place}", "s=-", f"c={place}", f"t={times}"]


def _written(lines: list[str]) -> bytes:
    return "".join([f"{line}\r\n" for line in lines]).encode("ascii")
