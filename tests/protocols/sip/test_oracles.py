"""What two other parsers make of the same messages."""

from __future__ import annotations

import aiosipua.message
import pytest
import sipmessage

from ringback.protocols.sip.message import Request, parse_message
from tests.protocols.sip.odd_messages import READ

# What they refuse, or read as something else; found out with the versions of the lock file.
NOT_SIPMESSAGE = {
    "folded header", "folded in the middle", "folded with nothing but spaces", "space before the colon", "bare LF",
    "bare LF in one line", "bare LF in the blank line", "line ends before", "name in Latin-1", "Via with spaces",
    "spaces after the version", "version in lower case", "unknown scheme", "a parameter that is empty",
    "control characters in quoted pairs",
}  # fmt: skip
NOT_AIOSIPUA = {"line ends before"}


@pytest.mark.parametrize("name", [name for name in READ if name not in NOT_SIPMESSAGE])
def test_sipmessage_reads_the_same(name: str) -> None:
    ours = parse_message(READ[name])
    assert isinstance(ours, Request)
    theirs = sipmessage.Message.parse(READ[name])
    assert isinstance(theirs, sipmessage.Request)
    assert theirs.method == ours.method
    assert theirs.headers.get("Call-ID") == ours.call_id
    assert [one.parameters.get("branch") for one in theirs.via] == [one.branch for one in ours.vias]
    assert [str(one.host).strip("[]") for one in theirs.via] == [one.host for one in ours.vias]
    assert [one.port for one in theirs.via] == [one.port for one in ours.vias]
    assert (theirs.cseq.sequence, theirs.cseq.method) == (ours.cseq.number, ours.cseq.method)
    assert (theirs.from_address.name or "") == ours.from_.display_name
    assert theirs.from_address.parameters.get("tag") == ours.from_tag
    assert str(theirs.to_address.uri) == ours.to.uri
    assert str(theirs.contact[0].uri) == ours.contacts[0].uri


@pytest.mark.parametrize("name", [name for name in READ if name not in NOT_AIOSIPUA])
def test_aiosipua_reads_the_same(name: str) -> None:
    ours = parse_message(READ[name])
    assert isinstance(ours, Request)
    theirs = aiosipua.message.SipMessage.parse(READ[name])
    assert isinstance(theirs, aiosipua.message.SipRequest)
    assert theirs.method == ours.method
    assert theirs.call_id == ours.call_id
    assert theirs.cseq is not None
    assert (theirs.cseq.seq, theirs.cseq.method) == (ours.cseq.number, ours.cseq.method)
    assert theirs.from_addr is not None
    assert theirs.from_addr.tag == ours.from_tag
    assert theirs.via[0].branch == ours.via.branch
