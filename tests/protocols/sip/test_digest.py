"""Digest: the vectors of the specifications, both sides against each other, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.protocols.sip.digest import (
    Challenge,
    answer,
    challenge,
    choose_challenge,
    ha1,
    parse_authorization,
    parse_challenge,
    verify,
)
from ringback.protocols.sip.errors import SipMalformed

RFC7616_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC7616_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
RFC2617_NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"


@pytest.mark.parametrize(
    ("asked", "password", "cnonce", "response"),
    [
        # RFC 7616 §3.9.1
        (
            Challenge("http-auth@example.org", RFC7616_NONCE, "MD5", ("auth", "auth-int")),
            "Circle of Life",
            RFC7616_CNONCE,
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            Challenge("http-auth@example.org", RFC7616_NONCE, "SHA-256", ("auth", "auth-int")),
            "Circle of Life",
            RFC7616_CNONCE,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        # RFC 2617 §3.5, and the same without qop (RFC 2069)
        (
            Challenge("testrealm@host.com", RFC2617_NONCE, "MD5", ("auth", "auth-int")),
            "Circle Of Life",
            "0a4f113b",
            "6629fae49393a05397450978507c4ef1",
        ),
        (Challenge("testrealm@host.com", RFC2617_NONCE), "Circle Of Life", "", "670fd8c2df070c60b045671b8b24ff02"),
    ],
)
def test_the_vectors_of_the_specifications(asked: Challenge, password: str, cnonce: str, response: str) -> None:
    given = parse_authorization(answer(asked, "GET", "/dir/index.html", "Mufasa", password=password, cnonce=cnonce))
    assert given.response == response
    secret = ha1("Mufasa", asked.realm, password, asked.algorithm)
    assert verify(given, "GET", secret)
    assert not verify(given, "PUT", secret)
    assert not verify(given, "GET", ha1("Mufasa", asked.realm, "Circle of life", asked.algorithm))
    again = answer(asked, "GET", "/dir/index.html", "Mufasa", secret, cnonce=cnonce)
    assert parse_authorization(again) == given


@given(
    words=st.lists(st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=30), min_size=6, max_size=6),
    algorithm=st.sampled_from(["MD5", "SHA-256", "sha-256", "md5"]),
    qop=st.sampled_from([None, "auth", "auth,auth-int", "auth-int, auth"]),
    nc=st.integers(1, 2**32 - 1),
)
def test_what_one_side_writes_the_other_understands(words: list[str], algorithm: str, qop: str | None, nc: int) -> None:
    realm, nonce, opaque, username, password, cnonce = words
    asked = parse_challenge(challenge(realm, nonce, algorithm, stale=True, opaque=opaque, qop=qop))
    assert (asked.realm, asked.nonce, asked.algorithm, asked.opaque, asked.stale) == (
        realm,
        nonce,
        algorithm,
        opaque,
        True,
    )
    written = answer(asked, "REGISTER", "sip:example.com", username, password=password, cnonce=cnonce, nc=nc)
    given = parse_authorization(written)
    assert (given.username, given.realm, given.nonce, given.opaque) == (username, realm, nonce, opaque)
    assert (given.nc, given.cnonce) == ((f"{nc:08x}", cnonce) if qop else (None, None))
    assert verify(given, "REGISTER", ha1(username, realm, password, algorithm))


def test_the_first_challenge_that_can_be_answered_is_taken() -> None:
    offered = [
        "Bearer x",
        challenge("r", "1", "SHA-512-256"),
        challenge("r", "2", "MD5-sess"),
        challenge("r", "3", "SHA-256", qop="auth-int"),
        "Digest realm=",
        challenge("r", "4", "SHA-256"),
        challenge("r", "5", "MD5"),
    ]
    chosen = choose_challenge(offered)
    assert chosen is not None
    assert (chosen.nonce, chosen.algorithm) == ("4", "SHA-256")
    assert choose_challenge(offered[:5]) is None
    with pytest.raises(ValueError, match="not known"):
        answer(parse_challenge(offered[1]), "INVITE", "sip:x", "a", password="p", cnonce="c")
    with pytest.raises(ValueError, match="password"):
        answer(chosen, "INVITE", "sip:x", "a", cnonce="c")
    with pytest.raises(ValueError, match="not known"):
        ha1("a", "r", "p", "SHA-512-256")


def test_challenges_are_written_as_strict_clients_want_them() -> None:
    assert challenge('a"b', "n", "SHA-256") == 'Digest realm="a\\"b", nonce="n", algorithm=SHA-256, qop="auth"'
    assert (
        challenge("r", "n", stale=True, opaque="", qop=None)
        == 'Digest realm="r", nonce="n", opaque="", stale=true, algorithm=MD5'
    )


def test_a_challenge_as_old_servers_write_it_is_read() -> None:
    found = parse_challenge('DIGEST  Realm = "r",nonce="a,b=c", Stale=TRUE , qop = auth,x=y')
    assert found == Challenge("r", "a,b=c", "MD5", ("auth",), None, stale=True)


GIVEN = (
    'Digest username="u", realm="r", nonce="n", uri="sip:x", response="{}", '
    'algorithm=MD5, qop=auth, nc=00000001, cnonce="c"'
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('username="u", ', ""),
        ('nonce="n"', 'nonce="n'),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=0000000g"),
        ("nc=00000001", "nc=-0000001"),
        (", nc=00000001", ""),
        (', cnonce="c"', ""),
        ('realm="r"', 'realm="r", REALM="s"'),
        ("Digest", "Basic"),
        ("algorithm=MD5", "algorithm"),
    ],
)
def test_an_answer_that_is_broken_is_malformed(old: str, new: str) -> None:
    with pytest.raises(SipMalformed):
        parse_authorization(GIVEN.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"), [("MD5", "MD5-sess"), ("MD5", "SHA-512-256"), ("qop=auth", "qop=auth-int"), ("{}", "é")]
)
def test_an_answer_that_cannot_be_judged_is_wrong(old: str, new: str) -> None:
    assert not verify(parse_authorization(GIVEN.replace(old, new)), "INVITE", ha1("u", "r", "p"))


@given(text=st.text(alphabet='ab =,"\\', max_size=40).map(lambda rest: "Digest " + rest))
def test_no_text_does_any_harm(text: str) -> None:
    for parse in (parse_challenge, parse_authorization):
        with pytest.raises(SipMalformed):
            parse(text)
