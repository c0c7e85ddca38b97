"""Digests of subscribers: what the guard believes, for how long, and what strangers learn from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.clock import ManualClock
from ringback.directory import Ha1, digest, ha1_of
from ringback.protocols.sip.digest import answer, parse_challenge
from ringback.store import SqliteStore, Store
from tests.directory.sip_room import BY, ELSEWHERE, HOME, PASSWORD, REALM, URI, Room


@pytest.fixture
async def room(store: Store, clock: ManualClock) -> Room:
    made = Room(store, clock)
    await made.add()
    return made


@pytest.fixture
async def small(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Room]:
    """On SQLite alone, for what has nothing to do with the database."""
    assert sqlite_url == ""
    opened = await SqliteStore.open(tmp_path / "ringback.db")
    made = Room(opened, clock)
    await made.add()
    yield made
    await opened.close()


@pytest.mark.parametrize("nth", [0, 1])
async def test_a_right_password_proves_the_subscriber_with_both_algorithms(room: Room, nth: int) -> None:
    asked = room.challenge(nth=nth)
    assert parse_challenge(asked).algorithm == ("SHA-256", "MD5")[nth]
    verdict = await room.check(asked)
    assert (verdict.outcome, verdict.challenges) == ("proven", ())
    assert verdict.credential is not None
    assert (verdict.credential.username, verdict.credential.user_id) == ("jan", "u-jan")
    assert (await room.check(asked, nc=2, domain=None)).outcome == "proven", "the realm is the domain"


async def test_both_challenges_have_one_nonce(small: Room) -> None:
    best, other = (parse_challenge(one) for one in small.guard.challenges(REALM, HOME))
    assert (best.nonce, best.realm, best.qop, best.stale) == (other.nonce, REALM, ("auth",), False)


async def test_a_count_of_a_nonce_counts_once(small: Room) -> None:
    asked = small.challenge()
    for count in (1, 3, 2, 70, 69):
        assert (await small.check(asked, nc=count)).outcome == "proven", count
    for count in (1, 2, 3, 69, 70, 0, 6):
        again = await small.check(asked, nc=count)
        assert (again.outcome, again.credential) == ("stale", None), count
        assert parse_challenge(again.challenges[0]).stale
    assert (await small.check(asked, nc=2**32 - 1)).outcome == "proven"


async def test_a_wrong_answer_uses_no_count_up(small: Room) -> None:
    asked = small.challenge(nth=1)
    assert (await small.check(asked, "wrong")).outcome == "challenge"
    assert (await small.check(asked)).outcome == "proven"


async def test_a_nonce_is_good_for_five_minutes_in_every_process(small: Room) -> None:
    asked = small.challenge()
    other = small.new_guard()
    small.clock.advance(299)
    small.guard, first = other, small.guard
    assert (await small.check(asked)).outcome == "proven", "made by another process, after this one began"
    small.guard = first
    small.clock.advance(1)
    late = await small.check(asked)
    assert late.outcome == "stale"
    assert (await small.check(late.challenges[0])).outcome == "proven"


async def test_what_was_overheard_before_a_restart_is_worth_nothing_after_it(small: Room) -> None:
    asked = small.challenge()
    assert (await small.check(asked)).outcome == "proven"
    small.clock.advance(1)
    small.guard = small.new_guard()
    assert (await small.check(asked)).outcome == "stale"


async def test_a_clock_that_is_set_back_locks_nobody_out(small: Room) -> None:
    used = small.challenge()
    assert (await small.check(used)).outcome == "proven"
    for step in (-3600, 1, 7200, 1, -3600, 301):
        small.clock.advance(step)
        asked = small.challenge()
        assert (await small.check(asked)).outcome == "proven", f"after {step} s"
        assert (await small.check(asked)).outcome == "stale", "it was used"
        assert (await small.check(used)).outcome == "stale", "so was this one"


async def test_nonces_of_others_are_not_looked_at(small: Room) -> None:
    for nonce in ("", "AAAA", "a" * 43, "ä", "%%%%", small.challenge("example.com").partition('nonce="')[2][:43]):
        asked = f'Digest realm="{REALM}", nonce="{nonce}", algorithm=SHA-256, qop="auth"'
        for password in (PASSWORD, "wrong"):
            assert (await small.check(asked, password)).outcome == "stale"
    assert (await small.check(small.challenge())).outcome == "proven", "nothing was counted"


async def test_unknown_disabled_and_wrong_are_answered_alike(room: Room) -> None:
    await room.add("eva")
    await room.store.write(room.subscribers.change, BY, REALM, "eva", {"disabled": True})
    await room.add("ron", ha1={})
    for nth, outcome in ((0, "stale"), (1, "challenge")):
        room.clock.advance(61)
        seen = set()
        for username, password in (("jan", "wrong"), ("eva", PASSWORD), ("nobody", PASSWORD), ("ron", PASSWORD)):
            verdict = await room.check(room.challenge(nth=nth), password, username=username)
            assert (verdict.outcome, verdict.credential) == (outcome, None)
            seen.add(tuple((c.algorithm, c.stale, len(c.nonce)) for c in map(parse_challenge, verdict.challenges)))
        assert len(seen) == 1


async def test_who_has_only_md5_is_asked_for_it_after_all(small: Room) -> None:
    known = ha1_of("old", REALM, PASSWORD)
    await small.add("old", ha1={REALM: Ha1(known.md5, None)})
    for _ in range(5):
        verdict = await small.check(small.challenge(), username="old")
        [asked] = verdict.challenges
        assert (verdict.outcome, parse_challenge(asked).algorithm) == ("stale", "MD5")
        assert (await small.check(asked, username="old")).outcome == "proven", "none of these was counted"


async def test_wrong_passwords_are_counted_for_the_address(small: Room) -> None:
    for number in range(3):
        assert (await small.check(small.challenge(nth=1), username=f"guess{number}")).outcome == "challenge"
    assert (await small.check(small.challenge())).outcome == "exhausted"
    there = small.challenge(address=ELSEWHERE)
    assert (await small.check(there, address=ELSEWHERE)).outcome == "proven"
    small.clock.advance(61)
    assert (await small.check(small.challenge())).outcome == "proven"


async def test_a_forged_source_does_not_lock_its_owner_out(small: Room) -> None:
    for number in range(5):
        asked = small.challenge(address=ELSEWHERE, nth=1)
        assert (await small.check(asked, username=f"guess{number}", address=HOME)).outcome == "challenge"
    assert (await small.check(small.challenge())).outcome == "proven"


async def test_strangers_who_guess_do_not_keep_the_subscriber_out(small: Room) -> None:
    assert (await small.check(small.challenge())).outcome == "proven"
    for number in range(3):
        address = f"203.0.113.{number}"
        assert (
            await small.check(small.challenge(address=address, nth=1), "wrong", address=address)
        ).outcome == "challenge"
    asked = small.challenge(address=ELSEWHERE)
    assert (await small.check(asked, address=ELSEWHERE)).outcome == "exhausted"
    assert (await small.check(small.challenge())).outcome == "proven", "from where it was proven last"


async def test_an_answer_is_for_one_address_one_method_and_one_realm(small: Room) -> None:
    asked = small.challenge(nth=1)
    assert (await small.check(asked, uri="sip:example.com", named_uri=URI)).outcome == "challenge"
    assert (await small.check(asked, uri="sip:EXAMPLE.org", named_uri=URI)).outcome == "proven"
    assert (await small.check(asked, nc=2, uri="/a", named_uri="/b")).outcome == "challenge"
    told = answer(parse_challenge(asked), "INVITE", URI, "jan", password=PASSWORD, cnonce="x", nc=3)
    assert (await small.check(asked, sent=told)).outcome == "challenge"
    assert (await small.check(asked, nc=4, realm="example.com")).outcome == "challenge"


WHOLE = (
    'Digest username="jan", realm="example.org", nonce="n", uri="sip:example.org", response="r", algorithm=MD5,'
    ' qop=auth, nc=00000001, cnonce="c"'
)
BAD = [
    "", "Digest", "Basic YTpi", "Digest nonsense", "Digest " + "a" * 5000,
    WHOLE.replace(", qop=auth", ""),
    WHOLE.replace("qop=auth", "qop=auth-int"),
    WHOLE.replace("algorithm=MD5", "algorithm=SHA-512-256"),
    WHOLE.replace("algorithm=MD5", "algorithm=MD5-sess"),
    WHOLE.replace('username="jan"', 'username=""'),
    WHOLE.replace('username="jan"', 'username="' + "j" * 256 + '"'),
    WHOLE.replace('username="jan"', 'username="j\0n"'),
    WHOLE.replace('username="jan"', 'username="j\udce4n"'),
    WHOLE.replace("00000001", "1"),
    WHOLE.replace('cnonce="c"', 'cnonce=""'),
]  # fmt: skip


@pytest.mark.parametrize("authorization", BAD)
async def test_what_cannot_be_judged_is_asked_again(small: Room, authorization: str) -> None:
    verdict = await small.check(small.challenge(), sent=authorization)
    assert (verdict.outcome, len(verdict.challenges)) == ("challenge", 2)


async def test_memory_is_bounded_and_forgets_nothing_that_could_be_sent_again(
    small: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "MAX_USES", 2)
    used = []
    for _ in range(3):
        small.clock.advance(1)
        used.append(small.challenge())
        assert (await small.check(used[-1])).outcome == "proven"
    assert len(small.guard._uses) == 2
    assert (await small.check(used[0], nc=2)).outcome == "stale"
    assert (await small.check(used[1], nc=2)).outcome == "proven"
    small.clock.advance(400)
    assert (await small.check(small.challenge())).outcome == "proven"
    assert len(small.guard._uses) == 1


async def test_a_realm_that_domains_share_knows_a_name_that_is_not_twice_there(
    store: Store, clock: ManualClock
) -> None:
    room = Room(store, clock, realm="sip")
    await room.add("jan", "a.example")
    await room.add("eva", "a.example")
    await room.add("eva", "b.example")
    shared = {"realm": "sip", "domain": None}
    found = await room.check(room.challenge("sip"), **shared)
    assert found.credential is not None
    assert found.credential.domain == "a.example"
    assert (await room.check(room.challenge("sip", nth=1), username="eva", **shared)).outcome == "challenge"
    known = await room.check(room.challenge("sip"), username="eva", realm="sip", domain="b.example")
    assert known.credential is not None
    assert known.credential.domain == "b.example"
    asked = room.challenge("a.example", nth=1)
    assert (await room.check(asked, realm="a.example", domain="a.example")).outcome == "challenge"
