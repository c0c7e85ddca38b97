"""What strangers send to a registrar: the right refusal or silence, one counter each, and nothing else moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.calls.embedded_scene import EmbeddedScene, ScriptedPhone, contacts
from tests.calls.peer import Peer
from tests.calls.scene import DOMAIN, until

BOB = f"bob@{DOMAIN}"


@pytest.fixture
async def scene(sqlite_url: str, tmp_path: Path) -> AsyncIterator[EmbeddedScene]:
    """With the subscribers alice and bob; bob's phone can be pushed."""
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_requests_per_second=50) as running:
        await running.account("alice")
        await running.account("bob", phones=1)
        yield running


@pytest.fixture
async def alice(scene: EmbeddedScene) -> AsyncIterator[ScriptedPhone]:
    """A phone of alice."""
    async with scene.phone("alice") as phone:
        yield phone


@pytest.fixture
async def stranger() -> AsyncIterator[Peer]:
    """Somebody's socket."""
    async with Peer.start() as peer:
        yield peer


def message(method: str, *lines: str, uri: str = f"sip:{DOMAIN}", via: str = "") -> bytes:
    """Text as a stranger writes it."""
    head = [f"{method} {uri} SIP/2.0", via or "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKstranger;rport", *lines]
    return ("\r\n".join(head) + "\r\nContent-Length: 0\r\n\r\n").encode()


WHO = (f"From: <sip:{BOB}>;tag=1", f"To: <sip:{BOB}>", "Call-ID: stranger", "Max-Forwards: 70")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((*WHO, "CSeq: 1 REGISTER", "CSeq: 2 REGISTER"), 400),
        ((*WHO, "CSeq: 1 INVITE"), 400),
        ((*WHO, "CSeq: 99999999999 REGISTER"), 400),
        ((*WHO[:3], "CSeq: 1 REGISTER", "Max-Forwards: 0"), 483),
        ((*WHO, "CSeq: 1 REGISTER", "Require: gruu"), 420),
        ((WHO[0], "To: <tel:+43>", *WHO[2:], "CSeq: 1 REGISTER"), 404),
        ((WHO[0], "To: <sip:example.com>", *WHO[2:], "CSeq: 1 REGISTER"), 404),
        ((WHO[0], "To: <nonsense>", *WHO[2:], "CSeq: 1 REGISTER"), 400),
        ((WHO[0], WHO[1], f"Call-ID: {'x' * 300}", WHO[3], "CSeq: 1 REGISTER"), 400),
        ((*WHO, "CSeq: 1 REGISTER", 'Authorization: Digest username="bob'), 401),
        ((*WHO, "CSeq: 1 REGISTER", "Authorization: Basic Ym9iOnNlY3JldA=="), 401),
        ((*WHO, "CSeq: 1 REGISTER", f'Authorization: Digest realm="{DOMAIN}", {"x" * 5000}'), 401),
    ],
)
async def test_a_register_that_is_wrong_is_refused_and_leaves_nothing(
    scene: EmbeddedScene, stranger: Peer, lines: tuple[str, ...], status: int
) -> None:
    stranger.send(message("REGISTER", *lines, "Contact: <sip:bob@192.0.2.66>"), scene.place)
    assert (await stranger.expect(lambda m: m.status > 0)).status == status
    async with scene.phone("bob") as bob:
        assert contacts(await bob.register(contact="", expires=None)) == []


async def test_a_header_that_would_end_a_line_gets_nowhere(alice: ScriptedPhone) -> None:
    answer = await alice.register(contact=f"<{alice.contact};x=%0d%0aX-Forged:%201>")
    assert answer.status in {200, 400}
    assert "X-Forged" not in [name for name, _ in answer.fields]


async def test_bytes_that_are_no_text_reach_no_table(sqlite_url: str, tmp_path: Path, stranger: Peer) -> None:
    """From a trusted peer, since everybody else would have to prove who it is first."""
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_proxies="127.0.0.1") as scene:
        await scene.account("bob")
        fields = (f"From: <sip:caf\xe9@{DOMAIN}>;tag=1", f"To: <sip:{BOB}>", "Call-ID: caf\xe9\xff", "CSeq: 1 INVITE")
        stranger.send(message("INVITE", *fields, uri=f"sip:{BOB}").decode().encode("latin-1"), scene.place)
        assert (await stranger.expect(lambda m: m.status >= 200)).status == 480
        record = await scene.scene.record()
        assert (record.caller, record.call_id) == (f"sip:caf?@{DOMAIN}", "caf??")


@pytest.mark.parametrize("steers", ["\x9b31m", "\u202e", "\u2028"])
async def test_what_steers_a_terminal_reaches_no_record(
    sqlite_url: str, tmp_path: Path, stranger: Peer, steers: str
) -> None:
    """As bytes or escaped: CSI of eight bits, the turn from right to left, the end of a line."""
    async with EmbeddedScene.start(tmp_path, sqlite_url, sip_proxies="127.0.0.1") as scene:
        await scene.account("bob")
        fields = (f"From: <sip:m{steers}@{DOMAIN}>;tag=1", f"To: <sip:{BOB}>", f"Call-ID: c{steers}", "CSeq: 1 INVITE")
        for callee in (f"b{steers}", f"b{quote(steers)}"):
            via = f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{len(callee)};rport"
            stranger.send(message("INVITE", *fields, uri=f"sip:{callee}@{DOMAIN}", via=via), scene.place)
            assert (await stranger.expect(lambda m: m.status >= 200)).status == 400
        stranger.send(message("INVITE", *fields, uri=f"sip:{BOB}"), scene.place)
        assert (await stranger.expect(lambda m: m.status >= 200)).status == 480
        record = await scene.scene.record()
        assert record.caller == f"sip:m{steers.replace(steers[0], '?')}@{DOMAIN}"
        assert record.call_id == f"c{steers.replace(steers[0], '?')}"


@pytest.mark.parametrize("steers", ["\x9b31m", "\u202e"])
async def test_what_steers_a_terminal_is_in_no_binding(scene: EmbeddedScene, alice: ScriptedPhone, steers: str) -> None:
    assert (await alice.register(contact=f"<sip:alice{steers}@192.0.2.66>")).status == 400
    shown = {"Contact": f"<{alice.contact}>", "User-Agent": f"my{steers}"}
    assert (await alice.request("REGISTER", f"sip:{DOMAIN}", shown, to=f"<sip:{alice.aor}>")).status == 200
    served = scene.scene.served
    found = await served.call("GET", f"/api/v1/domains/{DOMAIN}/subscribers/alice/bindings", auth=served.admin)
    assert [one["userAgent"] for one in found.body["items"]] == ["my" + steers.replace(steers[0], "?")]


async def test_a_user_name_that_is_no_text_is_nobody(scene: EmbeddedScene, stranger: Peer) -> None:
    proof = f'Authorization: Digest username="b\xff", realm="{DOMAIN}", nonce="n", uri="sip:{DOMAIN}", response="r"'
    stranger.send(message("REGISTER", *WHO, "CSeq: 1 REGISTER", proof).decode().encode("latin-1"), scene.place)
    assert (await stranger.expect(lambda m: m.status > 0)).status == 401


async def test_a_forged_cancel_ends_no_call(scene: EmbeddedScene, alice: ScriptedPhone, stranger: Peer) -> None:
    call = await alice.call(BOB)
    await call.answer(183)
    fields = [
        f"From: {call.fields['From']}",
        f"To: {call.fields['To']}",
        f"Call-ID: {call.call_id}",
        f"CSeq: {call.fields['CSeq'].split()[0]} CANCEL",
    ]
    stranger.send(message("CANCEL", *fields, uri=call.uri), scene.place)
    assert (await stranger.expect(lambda m: m.status > 0)).status == 481
    async with scene.phone("bob") as bob:
        await bob.register()
        assert contacts(await call.answer(302)) == [bob.contact]
    assert (await scene.scene.refused())["unmatched_cancel"] >= 1


async def test_a_flood_from_one_address_is_not_answered_and_moves_nothing(scene: EmbeddedScene, stranger: Peer) -> None:
    before = (await scene.scene.refused()).get("rate", 0)
    for number in range(1000):
        via = f"Via: SIP/2.0/UDP {stranger.address};branch=z9hG4bKflood{number}"
        stranger.send(message("INVITE", *WHO, f"CSeq: {number} INVITE", uri=f"sip:{BOB}", via=via), scene.place)
    await stranger.expect(401)

    async def many_were_dropped() -> bool:
        return (await scene.scene.refused()).get("rate", 0) - before >= 100

    await until(many_were_dropped)
    assert scene.scene.apns.received == []
    assert scene.scene.served.rooms.calls.wake_ups.count == 0
