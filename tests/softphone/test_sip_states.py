"""The table of a call's states, and what the phone tells of them."""

from __future__ import annotations

from typing import get_args

import pytest

from ringback.softphone.errors import CallMoveImpossible, SipAccountRefused
from ringback.softphone.sip_account import ServerAddress, SipAccount, checked_account, read_address, read_server
from ringback.softphone.sip_states import CALL_MOVES, CallState, check_move, meaning


def test_every_state_leads_to_the_end_and_nothing_leads_out_of_it() -> None:
    assert set(CALL_MOVES) == set(get_args(CallState))
    assert CALL_MOVES["ENDED"] == frozenset()
    assert all("ENDED" in then for state, then in CALL_MOVES.items() if state != "ENDED")


def test_an_answered_call_never_rings_again() -> None:
    for state in get_args(CallState):
        if state != "ENDED":
            with pytest.raises(CallMoveImpossible):
                check_move("ANSWERED", state)


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (480, "Temporarily Unavailable", "could not be reached"),
        (486, "Busy Here", "on the phone"),
        (404, "", "nobody of this name"),
        (433, "Anonymity Disallowed", "Anonymity Disallowed"),
        (433, "", "433"),
    ],
)
def test_a_refusal_has_a_meaning(status: int, reason: str, said: str) -> None:
    assert said in meaning(status, reason)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5070", ("udp", "127.0.0.1", 5070)),
        ("sip.example.org", ("udp", "sip.example.org", 5060)),
        ("sip.example.org;transport=tls", ("tls", "sip.example.org", 5061)),
        ("[::1]:5070;transport=TCP", ("tcp", "::1", 5070)),
        ("sip:10.0.0.1", ("udp", "10.0.0.1", 5060)),
    ],
)
def test_a_server_is_read(text: str, address: tuple[str, str, int]) -> None:
    assert read_server(text) == ServerAddress(*address)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "a b", "host:0", "host:70000", "host;transport=sctp", "http://host"])
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(SipAccountRefused):
        read_server(text)


@pytest.mark.parametrize("text", ["", "bob", "sip:example.org", "mailto:bob@example.org", "sip:bob@exa mple.org"])
def test_what_is_no_sip_address_is_refused(text: str) -> None:
    with pytest.raises(SipAccountRefused):
        checked_account(SipAccount(uri=read_address(text), server="127.0.0.1"))


def test_an_account_does_not_show_its_password() -> None:
    account = SipAccount(uri="sip:bob@example.org", server="127.0.0.1", password="guess-me")
    assert "guess-me" not in repr(account)
    assert (account.user, account.domain, account.digest_username) == ("bob", "example.org", "bob")
    assert read_address("bob@example.org") == "sip:bob@example.org"
