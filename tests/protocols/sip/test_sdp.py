"""Offer and answer for one stream of G.711."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.sip.sdp import Audio, answer_to_offer, audio_of, offer

OFFER = b"""v=0
o=alice 1 1 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.1
t=0 0
m=audio 49170 RTP/AVP 0 8 97
a=rtpmap:97 opus/48000/2
""".replace(b"\n", b"\r\n")


def test_an_answer_takes_the_first_codec_that_we_write_and_says_where_it_sends() -> None:
    answer = answer_to_offer(OFFER, "192.0.2.7", 4000, 77)
    assert answer is not None
    assert (answer.codec, answer.payload_type, answer.remote, answer.ptime) == ("PCMU", 0, ("192.0.2.1", 49170), 20)
    assert answer.body == (
        b"v=0\r\no=- 77 77 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
        b"m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\na=ptime:20\r\n"
    )


def test_every_stream_is_answered_and_only_one_taken() -> None:
    body = OFFER.replace(b"t=0 0", b"t=3034423619 3042462419").replace(
        b"m=audio 49170 RTP/AVP 0 8 97",
        b"m=audio 5000 RTP/SAVP 0\r\nm=video 5002/2 RTP/AVP 31 96\r\nm=audio 0 RTP/AVP 8\r\n"
        b"m=audio 5004 RTP/AVP 101 112\r\na=rtpmap:112 pcma/8000\r\nc=IN IP6 2001:db8::1\r\n"
        b"m=audio 5006 RTP/AVP 0\r\nm=application 9 UDP/BFCP *",
    )
    answer = answer_to_offer(body, "2001:db8::7", 4000, 1)
    assert answer is not None
    assert (answer.codec, answer.payload_type, answer.remote) == ("PCMA", 112, ("2001:db8::1", 5004))
    lines = answer.body.decode().split("\r\n")
    assert [line for line in lines if line.startswith("m=")] == [
        "m=audio 0 RTP/SAVP 0", "m=video 0 RTP/AVP 31 96", "m=audio 0 RTP/AVP 8", "m=audio 4000 RTP/AVP 112",
        "m=audio 0 RTP/AVP 0", "m=application 0 UDP/BFCP *",
    ]  # fmt: skip
    assert "c=IN IP6 2001:db8::7" in lines
    assert "t=3034423619 3042462419" in lines


@pytest.mark.parametrize(
    ("session", "stream", "answered", "sends"),
    [
        ("", "", "sendrecv", True),
        ("", "sendrecv", "sendrecv", True),
        ("", "recvonly", "sendonly", True),
        ("", "sendonly", "recvonly", False),
        ("inactive", "", "inactive", False),
        ("sendonly", "recvonly", "sendonly", True),
    ],
)
def test_a_caller_that_does_not_listen_is_sent_nothing(session: str, stream: str, answered: str, sends: bool) -> None:
    body = OFFER.replace(b"t=0 0\r\n", f"t=0 0\r\n{f'a={session}' if session else 'a=x'}\r\n".encode())
    answer = answer_to_offer(body + (f"a={stream}\r\n".encode() if stream else b""), "192.0.2.7", 4000, 1)
    assert answer is not None
    assert f"a={answered}\r\n".encode() in answer.body
    assert (answer.remote is not None) is sends
    heard = audio_of(body)
    assert heard is not None


@pytest.mark.parametrize(
    "place",
    ["IN IP4 0.0.0.0", "IN IP4 224.2.1.1/127", "IN IP4 224.2.1.1", "IN IP4 255.255.255.255", "IN IP4 phone.example.com",
     "IN IP6 ff02::1", "IN IP6 ::", "IN IP4 192.0.2.01", "XX IP4 192.0.2.1", "IN IP4 192.0.2.1 x", ""],
)  # fmt: skip
def test_voice_is_sent_to_the_address_of_one_machine_only(place: str) -> None:
    answer = answer_to_offer(OFFER.replace(b"IN IP4 192.0.2.1\r\nt", place.encode() + b"\r\nt"), "192.0.2.7", 4000, 1)
    assert answer is not None
    assert answer.remote is None


def test_voice_is_not_sent_to_the_port_of_a_service() -> None:
    answer = answer_to_offer(OFFER.replace(b"49170", b"53"), "192.0.2.7", 4000, 1)
    assert answer is not None
    assert answer.remote is None


@pytest.mark.parametrize(
    "body",
    [
        None, b"", b"v=0\r\n", b"m=audio\r\n", b"\xff\0", b"x" * 70_000,
        OFFER.replace(b"0 8 97", b"97"),
        OFFER.replace(b"0 8 97", b"18").replace(b"97 opus/48000/2", b"18 G729/8000"),
        OFFER.replace(b"0 8 97", b"200").replace(b"97 opus/48000/2", b"200 PCMA/8000"),
        OFFER.replace(b"0 8 97", b"8").replace(b"97 opus/48000/2", b"8 opus/8000"),
        OFFER.replace(b"RTP/AVP", b"RTP/SAVP"),
        OFFER.replace(b"49170", b"0"),
        OFFER.replace(b"49170", b"99999"),
        OFFER.replace(b"m=audio", b"m=video"),
        OFFER + b"m=audio 5000 RTP/AVP 0\r\n" * 16,
    ],
)  # fmt: skip
def test_without_g711_there_is_no_answer(body: bytes | None) -> None:
    assert answer_to_offer(body, "192.0.2.7", 4000, 1) is None


def test_an_offer_of_ours_is_understood() -> None:
    ours = offer("2001:db8::7", 4000, 9, direction="sendonly")
    assert audio_of(ours) == Audio("PCMA", 8, ("2001:db8::7", 4000), "sendonly")
    answer = answer_to_offer(ours, "2001:db8::8", 5000, 1)
    assert answer is not None
    heard = audio_of(answer.body)
    assert heard == Audio("PCMA", 8, ("2001:db8::8", 5000), "recvonly")
    assert heard.listens
    assert audio_of(b"nothing") is None


@given(
    at=st.integers(0, len(OFFER)),
    count=st.integers(0, 9),
    new=st.binary(max_size=5) | st.sampled_from([b"m=", b"c=", b"\r\n", b" "]),
)
def test_no_description_does_any_harm(at: int, count: int, new: bytes) -> None:
    answer = answer_to_offer(OFFER[:at] + new + OFFER[at + count :], "192.0.2.7", 4000, 1)
    if answer is not None:
        assert answer.body.startswith(b"v=0\r\n")
        again = audio_of(answer.body)
        assert again is not None
        assert (again.codec, again.payload_type, again.remote) == (
            answer.codec,
            answer.payload_type,
            ("192.0.2.7", 4000),
        )
