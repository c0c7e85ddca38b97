"""Whatever comes from the network: a message, or SipMalformed, and nothing is changed on its way through."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.protocols.sip import headers as fields
from ringback.protocols.sip.framing import StreamFramer
from ringback.protocols.sip.message import Request, SipMalformed, parse_message, response_to
from tests.protocols.sip.odd_messages import INVITE, READ, REFUSED

SCRAPS = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b'"', b"<", b">", b"\\", b"=", b"@", b"\0", b"\xff",
    b"\xc3\xbc",
    b"Via: SIP/2.0/UDP h;branch=z", b"CSeq: 1 INVITE", b"l: 5", b"Content-Length: 0", b"\r\n ", b"tag=",
    b"SIP/2.0 200 OK", b"To: <sip:a@b>", b"[::1]", b"z9hG4bK", b"9" * 40,
]  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from([*READ.values(), *REFUSED.values()]))[:2000])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = at + draw(st.integers(0, 12))
        data[at:until] = draw(st.sampled_from(SCRAPS) | st.binary(max_size=4))
    return bytes(data)


def check_the_answer(malformed: SipMalformed) -> None:
    if malformed.request is not None:
        answer = response_to(malformed.request, 400, malformed.reason, to_tag="ours").encode()
        assert answer.count(b"\r\n\r\n") == 1
        assert b"\0" not in answer.replace(b"\\\0", b""), "only where a name has it in a quoted pair"


@given(data=mangled() | st.binary(max_size=300) | st.lists(st.sampled_from(SCRAPS), max_size=30).map(b"".join))
@example(data=b"\n\r\n")
@example(data=READ["two Vias on one line"].replace(b"SIP/2.0/UDP 10", b"nonsense 10"))
def test_a_message_is_read_or_malformed_and_never_anything_else(data: bytes) -> None:
    try:
        message = parse_message(data)
    except SipMalformed as malformed:
        check_the_answer(malformed)
        return
    assert message.via == fields.parse_via(message.headers.elements("Via")[0])
    assert (message.from_tag, message.to_tag) == (message.from_.tag, message.to.tag)
    _ = message.call_id, message.cseq, message.expires
    for lazily in ("contacts", "route", "record_route", "request_uri", "vias"):
        try:
            getattr(message, lazily, None)
        except SipMalformed:
            continue
    again = parse_message(message.encode())
    assert again.encode() == message.encode()
    assert again.body == message.body
    if isinstance(message, Request):
        message.came_from("192.0.2.77", 4711)
        assert parse_message(message.encode()).via == message.via


VALUES = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"]) | st.sampled_from([chr(code) for code in range(0xDC80, 0xDD00)]),
    max_size=60,
)


@given(values=st.lists(VALUES, max_size=5), folded=st.booleans())
def test_values_that_nobody_asks_for_pass_byte_for_byte(values: list[str], folded: bool) -> None:
    told = [value.encode("utf-8", "surrogateescape").strip(b" \t") for value in values]
    if folded:
        told = [value + b"\r\n   and more" for value in told]
    lines = b"".join(b"X-Odd: " + value + b"\r\n" for value in told)
    written = parse_message(INVITE.encode().replace(b"Contact", lines + b"Contact")).encode()
    assert lines + b"Contact: " in written


@given(text=st.text(alphabet='a1 \t,;:="\\<>@[]*%', max_size=40))
def test_parts_of_a_header_are_read_or_malformed(text: str) -> None:
    for element in fields.split_elements(text):
        assert element == element.strip(" \t") != ""
    for parse in (
        fields.parse_via,
        fields.parse_name_address,
        fields.parse_cseq,
        fields.parse_tag,
        fields.parse_parameters,
    ):
        try:
            found = parse(text)
        except SipMalformed:
            continue
        if isinstance(found, fields.NameAddress | fields.Via):
            assert parse(str(found)) == found


@pytest.mark.parametrize(
    "scrap",
    ['"', "<", '"\\', '\\"', " ", "\t ", ",", ";", "<,", '",', "a=", ";a", "\r\n ", "SIP/", "[", "%", '="', ">;"],
)
def test_the_cost_grows_with_the_length_and_not_with_its_square(scrap: str) -> None:
    # 60 kB took minutes with a pattern that begins anew at each character; the timeout of the test run would tell.
    text = (scrap * 60_000)[:60_000]
    for name in ("Via", "From", "To", "Contact", "CSeq", "X"):
        data = (
            INVITE.replace(f"{name}: ", f"{name}: {text}", 1)
            if name != "X"
            else INVITE.replace("Max", f"{text}: x\r\nMax")
        )
        try:
            message = parse_message(data.encode())
            _ = message.contacts
        except SipMalformed:
            continue


@given(data=mangled(), cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_a_stream_is_framed_alike_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    stream = INVITE.encode() + data + INVITE.encode()
    places = sorted({min(cut, len(stream)) for cut in cuts})
    pieces = [stream[begin:end] for begin, end in zip([0, *places], [*places, len(stream)], strict=True)]
    assert framed(pieces) == framed([stream[at : at + 1] for at in range(len(stream))])


def framed(pieces: list[bytes]) -> tuple[list[bytes], str]:
    framer = StreamFramer(5000)
    found = [message for piece in pieces for message in framer.feed(piece)]
    return found, framer.broken.reason if framer.broken is not None else ""
