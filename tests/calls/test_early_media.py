"""Early media, heard by a real receiver: what comes, in which order, and when it ends. Counted, not timed."""

from __future__ import annotations

import asyncio
import socket
import struct
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from ringback.calls.early_media import EarlyMedia
from ringback.calls.prompts import Prompts
from ringback.calls.rtp_pump import RtpPump, RtpStream
from ringback.protocols.sip.g711 import encode_alaw, encode_ulaw
from ringback.protocols.sip.rtp import RtpPacket, parse_packet
from ringback.protocols.sip.sdp import audio_of, offer
from tests.calls.test_prompts import write_wav

LOCAL = "127.0.0.1"
SOUND = [(n * 37) % 20000 - 10000 for n in range(1600)]
PCM = struct.pack("<1600h", *SOUND)
PCMA = [encode_alaw(PCM)[at : at + 160] for at in range(0, 1600, 160)]


class Receiver(asyncio.DatagramProtocol):
    """A caller's ear."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.sources: list[tuple[str, int]] = []
        self._more = asyncio.Event()
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets.append(parse_packet(data))
        self.sources.append(addr[:2])
        self._more.set()

    async def heard(self, count: int) -> list[RtpPacket]:
        async with asyncio.timeout(60):
            while len(self.packets) < count:
                self._more.clear()
                await self._more.wait()
        return self.packets

    def by_stream(self) -> dict[int, list[RtpPacket]]:
        found: dict[int, list[RtpPacket]] = defaultdict(list)
        for packet in self.packets:
            found[packet.ssrc].append(packet)
        return found


@asynccontextmanager
async def listening(host: str = LOCAL) -> AsyncIterator[Receiver]:
    loop = asyncio.get_running_loop()
    transport, receiver = await loop.create_datagram_endpoint(Receiver, local_addr=(host, 0))
    try:
        yield receiver
    finally:
        transport.close()


@asynccontextmanager
async def playing(host: str = LOCAL, *, loop: bool = True, most_streams: int = 100) -> AsyncIterator[EarlyMedia]:
    with tempfile.TemporaryDirectory() as folder:
        prompts = Prompts(str(write_wav(Path(folder) / "short.wav", SOUND)), loop=loop)
    media = await EarlyMedia.open(prompts, host, 0, most_streams=most_streams)
    try:
        yield media
    finally:
        media.close()


@contextmanager
def bound() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((LOCAL, 0))
        yield made


def frames(count: int) -> tuple[bytes, ...]:
    return tuple(bytes([number]) * 160 for number in range(count))


async def test_a_caller_hears_the_prompt_from_its_beginning_and_again() -> None:
    async with listening() as caller, playing() as media:
        asked = offer(LOCAL, caller.port, 1)
        stream = media.begin(asked, None, loop=None)
        assert stream is not None
        answered = audio_of(stream.body)
        assert answered is not None
        packets = (await caller.heard(25))[:25]
        assert [packet.payload for packet in packets] == [*PCMA, *PCMA, *PCMA[:5]]
        assert caller.sources[0] == answered.remote  # from where the answer says
        first = packets[0]
        assert [packet.marker for packet in packets] == [True] + [False] * 24
        for number, packet in enumerate(packets):
            assert packet.sequence == (first.sequence + number) % 2**16
            assert packet.timestamp == (first.timestamp + 160 * number) % 2**32
            assert (packet.ssrc, packet.payload_type) == (first.ssrc, 8)


async def test_the_codec_is_the_one_that_the_caller_named_first() -> None:
    async with listening() as caller, playing() as media:
        asked = (
            offer(LOCAL, caller.port, 1).replace(b"AVP 8 0", b"AVP 96 0").replace(b"rtpmap:8 PCMA", b"rtpmap:96 PCMU")
        )
        assert media.begin(asked, None, loop=None) is not None
        packets = await caller.heard(2)
        assert [packet.payload_type for packet in packets[:2]] == [96, 96]
        assert packets[0].payload == encode_ulaw(PCM)[:160]


@pytest.mark.parametrize(("default", "told"), [(False, None), (True, False)])
async def test_a_prompt_that_is_not_looped_ends(default: bool, told: bool | None) -> None:
    async with listening() as caller, playing(loop=default) as media:
        stream = media.begin(offer(LOCAL, caller.port, 1), None, loop=told)
        assert stream is not None
        await caller.heard(10)
        # Another stream that begins after it shows that time goes on.
        other = media.begin(offer(LOCAL, caller.port, 1), None, loop=True)
        assert other is not None
        await caller.heard(30)
        assert min(len(packets) for packets in caller.by_stream().values()) == 10
        stream.stop()
        assert media.pump.streams == 1


async def test_nothing_is_sent_after_the_end_and_an_end_may_come_twice() -> None:
    async with listening() as caller, playing() as media:
        first = media.begin(offer(LOCAL, caller.port, 1), None, loop=None)
        second = media.begin(offer(LOCAL, caller.port, 1), None, loop=None)
        assert first is not None
        assert second is not None
        await caller.heard(10)
        first.stop()
        first.stop()
        first.play(audio_of(offer(LOCAL, caller.port, 1)))
        sent = media.pump.sent
        await caller.heard(sent + 20)
        counts = sorted(len(packets) for packets in caller.by_stream().values())
        assert counts[0] <= sent - 4 < counts[1]
        assert sum(counts) == len(caller.packets)
        second.stop()
        assert media.pump.streams == 0


async def test_all_callers_hear_as_much_and_their_packets_are_spread() -> None:
    async with listening() as caller, playing() as media:
        for _ in range(50):
            assert media.begin(offer(LOCAL, caller.port, 1), None, loop=None) is not None
        assert [len(slot) for slot in media.pump._slots] == [5] * 10
        await caller.heard(1000)
        counts = Counter(packet.ssrc for packet in caller.packets)
        assert len(counts) == 50
        assert max(counts.values()) - min(counts.values()) <= 2
        assert media.pump.lost == 0
        for packets in caller.by_stream().values():
            assert [packet.sequence for packet in packets] == [
                (packets[0].sequence + number) % 2**16 for number in range(len(packets))
            ]


async def test_callers_of_both_families_are_reached_from_one_socket() -> None:
    async with listening() as four, listening("::1") as six, playing("::") as media:
        for caller, host in ((four, LOCAL), (six, "::1")):
            stream = media.begin(offer(host, caller.port, 1), None, loop=None)
            assert stream is not None
            answered = audio_of(stream.body)
            assert answered is not None
            await caller.heard(3)
            assert answered.remote == (host, media.pump.address[1])


async def test_a_socket_with_every_address_names_the_one_that_the_caller_sees() -> None:
    async with listening() as caller, playing("0.0.0.0") as media:
        stream = media.begin(offer(LOCAL, caller.port, 1), None, loop=None)
        assert stream is not None
        answered = audio_of(stream.body)
        assert answered is not None
        await caller.heard(1)
        assert answered.remote == caller.sources[0]
        assert media.offer(None, loop=None) is None  # nobody is there yet whom an address could be named for
        assert media.begin(b"", None, loop=None) is None


async def test_an_ear_of_another_family_hears_nothing() -> None:
    async with playing() as media:
        assert media.begin(offer("::1", 4000, 1), None, loop=None) is None


@pytest.mark.parametrize(
    "asked",
    [b"", b"nonsense", offer(LOCAL, 53, 1), offer("0.0.0.0", 4000, 1), offer(LOCAL, 4000, 1, direction="sendonly"),
     offer(LOCAL, 4000, 1, direction="inactive"), offer(LOCAL, 4000, 1).replace(b"8 0", b"18")],
)  # fmt: skip
async def test_who_cannot_or_will_not_hear_is_sent_nothing(asked: bytes) -> None:
    async with playing() as media:
        assert media.begin(asked, None, loop=None) is None
        assert media.pump.streams == 0


async def test_beyond_its_limit_a_process_plays_to_nobody_else() -> None:
    async with playing(most_streams=2) as media:
        first = media.begin(offer(LOCAL, 4000, 1), None, loop=None)
        assert first is not None
        waiting = media.offer(None, loop=None)
        assert media.begin(offer(LOCAL, 4000, 1), None, loop=None) is not None
        assert media.begin(offer(LOCAL, 4000, 1), None, loop=None) is None
        assert media.offer(None, loop=None) is None
        assert waiting is not None
        waiting.play(audio_of(offer(LOCAL, 4000, 1)))  # its answer comes when there is no room any more
        assert media.pump.streams == 2
        first.stop()
        assert media.begin(offer(LOCAL, 4000, 1), None, loop=None) is not None


async def test_a_caller_that_made_no_offer_is_made_one() -> None:
    async with listening() as caller, playing() as media:
        stream = media.offer(None, loop=None)
        assert stream is not None
        offered = audio_of(stream.body)
        assert offered is not None
        assert (offered.direction, offered.remote) == ("sendonly", media.pump.address)
        stream.play(None)  # an answer that could not be read
        assert media.pump.streams == 0
        stream.play(audio_of(offer(LOCAL, caller.port, 1, direction="recvonly")))
        stream.play(audio_of(offer(LOCAL, caller.port, 1, direction="recvonly")))
        assert media.pump.streams == 1
        await caller.heard(3)
        stream.stop()


class Steady:
    """A clock of seconds that the test moves; each look at it takes a while."""

    def __init__(self, look: float = 0.0) -> None:
        self.seconds = 100.0
        self.look = look

    def __call__(self) -> float:
        self.seconds += self.look
        return self.seconds


async def test_a_round_that_takes_too_long_lets_others_have_a_turn() -> None:
    with bound() as sending, bound() as hearing:
        clock = Steady()
        pump = RtpPump(sending, clock)
        for _ in range(10):
            pump.start(RtpStream(frames(9), 8, hearing.getsockname(), bytes(10), loop=True))
        clock.seconds += 0.040
        clock.look = 0.0004
        pump._run()
        assert 3 <= pump.sent <= 5
        served = pump.sent
        pump._run()
        assert served < pump.sent <= 2 * served + 1
        assert pump.take_latest() >= 0.039
        assert pump.take_latest() == 0.0
        pump.close()


async def test_after_a_long_pause_there_is_no_burst() -> None:
    with bound() as sending, bound() as hearing:
        clock = Steady()
        pump = RtpPump(sending, clock)
        pump.start(RtpStream(frames(9), 8, hearing.getsockname(), bytes(10), loop=True))
        clock.seconds += 30.0
        pump._run()
        assert pump.sent == 1
        clock.seconds += 0.020
        pump._run()
        assert pump.sent == 2
        pump.close()


async def test_a_stream_that_begins_in_an_empty_slot_does_not_wait_for_the_others() -> None:
    with bound() as sending, bound() as hearing:
        clock = Steady()
        pump = RtpPump(sending, clock)
        pump.start(RtpStream(frames(9), 8, hearing.getsockname(), bytes(10), loop=True))
        clock.seconds += 0.001
        pump._run()
        assert pump.sent == 1
        pump.start(RtpStream(frames(9), 0, hearing.getsockname(), bytes(10), loop=True))
        clock.seconds += 0.004
        pump._run()
        assert pump.sent == 2
        clock.seconds += 0.020
        pump._run()
        assert pump.sent == 4
        pump.close()


async def test_a_stream_that_begins_in_a_slot_that_was_sent_a_little_early_does_not_send_it_again() -> None:
    with bound() as sending, bound() as hearing:
        clock = Steady()
        pump = RtpPump(sending, clock)
        for _ in range(10):
            pump.start(RtpStream(frames(9), 8, hearing.getsockname(), bytes(10), loop=True))
        clock.seconds += 0.0192
        pump._run()
        assert pump.sent == 11
        clock.seconds += 0.0002
        pump.start(RtpStream(frames(9), 8, hearing.getsockname(), bytes(10), loop=True))
        pump._run()
        assert pump.sent == 11
        pump.close()


async def test_what_cannot_be_sent_is_counted_and_in_the_end_given_up() -> None:
    with bound() as sending:
        clock = Steady()
        pump = RtpPump(sending, clock)
        stream = RtpStream(frames(2), 8, ("::1", 4000), bytes(10), loop=True)  # not from this socket
        pump.start(stream)
        for _ in range(60):
            pump._run()
            clock.seconds += 0.020
        assert pump.lost == 51
        assert pump.streams == 0
        pump.stop(stream)
        pump.close()
