"""What the Kamailio that we configure does with calls, and what it does not let anybody do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.calls.kamailio import Kamailio
from tests.calls.peer import Message, Peer, read, write
from tests.calls.scripted_server import ScriptedServer
from tests.calls.sipp import register, run_sipp, sipp

_numbers = itertools.count(1)
BOB = "bob@example.com"


class Front(NamedTuple):
    """A Kamailio that believes everybody, with one application server."""

    proxy: Kamailio
    server: ScriptedServer
    folder: Path

    @property
    def at(self) -> tuple[str, int]:
        """Where it is."""
        return self.proxy.host, self.proxy.port


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with ScriptedServer.start() as server, Kamailio.start(tmp_path, [server.address]) as proxy:
        yield Front(proxy, server, tmp_path)


def request(peer: Peer, method: str, uri: str, *more: tuple[str, str], to: str = "", hops: int = 70) -> bytes:
    """A request of `peer`, outside a dialog unless `to` has a tag."""
    number = next(_numbers)
    fields = [
        ("Via", f"SIP/2.0/UDP {peer.address};branch=z9hG4bKtest{number}"),
        ("From", f"<sip:alice@example.com>;tag=t{number}"),
        ("To", to or f"<{uri}>"),
        ("Call-ID", f"test{number}"),
        ("CSeq", f"1 {method}"),
        ("Contact", f"<sip:alice@{peer.address}>"),
        ("Max-Forwards", str(hops)),
    ]
    return write(f"{method} {uri} SIP/2.0", [*fields, *more])


async def answer_to(front: Front, method: str, uri: str, *more: tuple[str, str], **options: object) -> Message:
    """The final answer to a request of a stranger."""
    async with Peer.start() as peer:
        peer.send(request(peer, method, uri, *more, **options), front.at)  # type: ignore[arg-type]
        return await peer.expect(lambda message: message.status >= 200)


# calls ----------------------------------------------------------------------------------------------------------------


async def test_a_caller_who_hangs_up_while_the_call_is_deflected_is_told_487(front: Front) -> None:
    """Else the caller's phone would call again, where it was sent."""
    proxy, server, folder = front
    async with sipp(folder, "caller_cancel", proxy.address, wait=0) as caller:
        invite = await server.invite()
        server.answer(await server.peer.expect("CANCEL"), 200)
        server.answer(invite, 302, ("Contact", f"<sip:{BOB}>"))
        await server.peer.expect("ACK")
        call = await caller.finished()
    assert call.successful == 1, (call.statuses, call.errors)


async def test_a_deflected_call_rings_at_all_bindings_and_later_phones_join_it(front: Front) -> None:
    proxy, server, folder = front
    async with (
        sipp(folder, "caller", proxy.address) as caller,
        sipp(folder, "phone_rings", proxy.address) as first,
        sipp(folder, "phone", proxy.address, ring=1500) as late,
    ):
        invite = await server.invite()
        at_first = first.contact("bob", ";pn-provider=apns;pn-prid=00ff:x;pn-param=T.b")
        server.subscribe(front.at, BOB)
        assert (await server.peer.expect(200)).get("Expires") == "60"
        assert (await server.notified()).body == ""
        await register(folder, proxy.address, "bob", at_first)
        notify = await server.notified('state="active"')
        assert f"<uri>sip:bob@{first.address};transport=udp" in notify.body
        # The answer names somebody else: nobody is called there.
        async with Peer.start() as stranger:
            server.answer(invite, 302, ("Contact", f"<sip:bob@{stranger.address}>"))
            await first.until_received("INVITE")
            assert stranger.came == []
        await register(folder, proxy.address, "bob", at_first)
        await register(folder, proxy.address, "bob", late.contact("bob"))
        answered = await caller.finished()
        assert answered.successful == 1, answered.errors
        assert answered.statuses == [100, 183, 180, 180, 200, 200]
        assert (await late.finished()).methods == ["INVITE", "ACK", "BYE"]
        rung = await first.finished()
        assert rung.methods == ["INVITE", "CANCEL", "ACK"], "one INVITE, although it registered twice"
        assert ";pn-provider=apns;pn-prid=00ff:x;pn-param=T.b SIP/2.0" in rung.received[0].text
    assert "ERROR" not in proxy.log


async def test_a_call_to_somebody_who_is_registered_asks_no_application_server(front: Front) -> None:
    proxy, server, folder = front
    async with sipp(folder, "phone", proxy.address) as phone:
        await register(folder, proxy.address, "bob", phone.contact("bob"))
        called = await run_sipp(folder, "caller", proxy.address)
        assert called.statuses == [100, 180, 200, 200]
    assert not [message for message in server.peer.came if message.method == "INVITE"]


async def test_a_caller_over_tcp_reaches_a_phone_on_udp_and_hangs_up(front: Front) -> None:
    proxy, _, folder = front
    async with sipp(folder, "phone", proxy.address) as phone:
        await register(folder, proxy.address, "bob", phone.contact("bob"))
        called = await run_sipp(folder, "caller", proxy.address, transport="tcp")
        assert called.successful == 1, called.errors
        assert (await phone.finished()).methods == ["INVITE", "ACK", "BYE"]


async def test_a_caller_who_hangs_up_ends_the_wake_up_and_a_late_phone_does_not_ring(front: Front) -> None:
    proxy, server, folder = front
    async with sipp(folder, "caller_cancel", proxy.address) as caller, sipp(folder, "phone", proxy.address) as phone:
        invite = await server.invite()
        server.answer(await server.peer.expect("CANCEL"), 200)
        server.answer(invite, 487)
        assert (await caller.finished()).statuses == [100, 183, 200, 487]
        await register(folder, proxy.address, "bob", phone.contact("bob"))
        assert (await run_sipp(folder, "caller", proxy.address)).successful == 1
        assert (await phone.finished()).methods == ["INVITE", "ACK", "BYE"], "the second call only"


async def test_what_the_application_server_refuses_with_is_what_the_caller_gets(front: Front) -> None:
    async with sipp(front.folder, "caller_refused", front.proxy.address, status=404) as caller:
        front.server.answer(await front.server.invite(), 404)
        assert (await caller.finished()).statuses[-1] == 404


async def test_a_deflected_call_to_nobody_is_unavailable(front: Front) -> None:
    async with sipp(front.folder, "caller_refused", front.proxy.address, status=480) as caller:
        front.server.answer(await front.server.invite(), 302, ("Contact", "<sip:bob@example.com>"))
        assert (await caller.finished()).successful == 1


async def test_every_call_goes_to_an_application_server_where_that_is_wanted(tmp_path: Path) -> None:
    async with (
        ScriptedServer.start() as server,
        Kamailio.start(tmp_path, [server.address], every_call=True) as proxy,
        sipp(tmp_path, "phone", proxy.address) as phone,
    ):
        await register(tmp_path, proxy.address, "bob", phone.contact("bob"))
        async with sipp(tmp_path, "caller", proxy.address) as caller:
            server.answer(await server.invite(), 302, ("Contact", "<sip:bob@example.com>"))
            called = await caller.finished()
    assert called.successful == 1
    assert 180 in called.statuses


async def test_a_binding_goes_with_the_connection_that_it_came_over(front: Front) -> None:
    proxy, _, _ = front
    reader, writer = await asyncio.open_connection(*front.at)
    own = writer.get_extra_info("sockname")
    fields = [
        ("Via", f"SIP/2.0/TCP {own[0]}:{own[1]};branch=z9hG4bKlost"), ("From", f"<sip:{BOB}>;tag=1"),
        ("To", f"<sip:{BOB}>"), ("Call-ID", "lost"), ("CSeq", "1 REGISTER"), ("Max-Forwards", "70"),
        ("Contact", "<sip:bob@10.9.9.9:5060;transport=tcp>"), ("Expires", "600"),
    ]  # fmt: skip
    writer.write(write("REGISTER sip:example.com SIP/2.0", fields))
    assert b" 200 " in await reader.readuntil(b"\r\n")
    await proxy.until_bound("bob")
    writer.close()
    await proxy.until_bound("bob", 0)


# application servers that fail ----------------------------------------------------------------------------------------


async def test_an_application_server_that_refuses_or_is_silent_is_followed_by_the_next(tmp_path: Path) -> None:
    async with ScriptedServer.start() as one, ScriptedServer.start() as two:
        servers = {one.address: one, two.address: two}
        async with Kamailio.start(tmp_path, list(servers), probe_seconds=1) as proxy:
            for address in servers:
                await proxy.until_server(address, alive=True)
            for refuses in (True, False):
                async with sipp(tmp_path, "caller_refused", proxy.address, status=480) as caller:
                    first = await _who_is_asked(servers)
                    if refuses:
                        first.answer(await first.invite(), 503)
                    else:
                        first.alive = False
                        await first.peer.expect("INVITE")
                    second = two if first is one else one
                    second.answer(await second.invite(), 480)
                    assert (await caller.finished()).statuses[-1] == 480
                await _forget_invites(servers)
            # The silent one is out; new calls go to the other at once.
            await proxy.until_server(first.address, alive=False)
            for _ in range(3):
                async with sipp(tmp_path, "caller_refused", proxy.address, status=480) as caller:
                    second.answer(await second.invite(), 480)
                    await caller.finished()
            assert not [message for message in first.peer.waiting if message.method == "INVITE"]
            first.alive = True
            await proxy.until_server(first.address, alive=True)


async def test_without_any_application_server_the_registered_are_called_and_the_others_unavailable(
    tmp_path: Path,
) -> None:
    async with ScriptedServer.start() as server:
        server.alive = False
        async with Kamailio.start(tmp_path, [server.address], every_call=True, probe_seconds=1) as proxy:
            await proxy.until_server(server.address, alive=False)
            refused = await run_sipp(tmp_path, "caller_refused", proxy.address, status=480)
            assert refused.successful == 1
            async with sipp(tmp_path, "phone", proxy.address) as phone:
                await register(tmp_path, proxy.address, "bob", phone.contact("bob"))
                assert (await run_sipp(tmp_path, "caller", proxy.address)).successful == 1


# what nobody may do ---------------------------------------------------------------------------------------------------


async def test_only_application_servers_are_told_who_is_registered(front: Front) -> None:
    async with Peer.start("127.0.0.2") as stranger:
        event = (("Event", "reg"), ("Expires", "60"))
        stranger.send(request(stranger, "SUBSCRIBE", f"sip:{BOB}", *event), front.at)
        assert (await stranger.expect(403)).status == 403
        inside = request(stranger, "SUBSCRIBE", f"sip:{BOB}", *event, to=f"<sip:{BOB}>;tag=guessed")
        stranger.send(inside, front.at)
        assert (await stranger.expect(403)).status == 403
    front.server.subscribe(front.at, BOB, "presence")
    await front.server.peer.expect(403)
    front.server.subscribe(front.at, BOB)
    await front.server.peer.expect(200)


async def test_application_servers_prove_themselves_where_they_have_a_password(tmp_path: Path) -> None:
    async with (
        ScriptedServer.start() as server,
        Kamailio.start(tmp_path, [server.address], subscriber="ringback", subscriber_password="secret") as proxy,
    ):
        server.subscribe((proxy.host, proxy.port), BOB)
        challenge = await server.peer.expect(407)
        assert 'realm="application-servers"' in challenge.get("Proxy-Authenticate")
        server.subscribe((proxy.host, proxy.port), BOB, "reg", ("Proxy-Authorization", 'Digest username="ringback"'))
        assert (await server.peer.expect(lambda message: message.status >= 400)).status in {400, 407}


@pytest.mark.parametrize(
    ("method", "uri", "status"),
    [
        ("INVITE", "sip:bob@example.net", 404),
        ("INVITE", "sip:example.com", 404),
        ("REGISTER", "sip:example.net", 404),
        ("PUBLISH", "sip:bob@example.com", 405),
        ("MESSAGE", "sip:bob@example.com", 405),
        ("BYE", "sip:bob@example.com", 405),
        ("CANCEL", "sip:bob@example.com", 481),
        ("OPTIONS", "sip:example.com", 200),
    ],
)
async def test_what_is_not_for_this_server_is_refused(front: Front, method: str, uri: str, status: int) -> None:
    assert (await answer_to(front, method, uri)).status == status


async def test_a_message_that_went_round_is_refused(front: Front) -> None:
    assert (await answer_to(front, "INVITE", f"sip:{BOB}", hops=0)).status == 483


async def test_a_binding_that_leads_back_here_is_refused(front: Front) -> None:
    fields = write(
        "REGISTER sip:example.com SIP/2.0",
        [
            ("From", f"<sip:{BOB}>;tag=1"), ("To", f"<sip:{BOB}>"), ("Call-ID", "loop"), ("CSeq", "1 REGISTER"),
            ("Contact", f"<sip:bob@{front.proxy.address}>"), ("Max-Forwards", "70"), ("Expires", "60"),
        ],
    )  # fmt: skip
    async with Peer.start() as phone:
        via = f"Via: SIP/2.0/UDP {phone.address};branch=z9hG4bKloop\r\n".encode()
        phone.send(fields.replace(b"From:", via + b"From:", 1), front.at)
        await phone.expect(403)
    assert await front.proxy.bindings("bob") == []


async def test_nobody_sends_requests_through_here_to_elsewhere(front: Front) -> None:
    async with Peer.start() as target:
        route = ("Route", f"<sip:{front.proxy.address};lr>")
        uri = f"sip:victim@{target.address}"
        assert (await answer_to(front, "BYE", uri, route, to="<sip:victim@example.com>;tag=x")).status == 403
        guess = ("Route", f"<sip:{front.proxy.address};lr;mark={'0' * 32}>")
        assert (await answer_to(front, "INVITE", uri, guess, to="<sip:victim@example.com>;tag=x")).status == 403
        assert (await answer_to(front, "INFO", uri, to="<sip:victim@example.com>;tag=x")).status == 481
        onwards = ("Route", f"<sip:{front.proxy.address};lr>, <sip:{target.address};lr>")
        assert (await answer_to(front, "INVITE", "sip:bob@example.net", onwards)).status == 404
        assert target.came == []


async def test_a_caller_cannot_tell_the_application_server_what_only_the_proxy_may(front: Front) -> None:
    async with Peer.start() as caller:
        forged = (
            ("P-App-Param", "expiration=600;caller=the%20police"),
            ("P-Asserted-Identity", "<sip:police@example.com>"),
            ("P-Preferred-Identity", "<sip:police@example.com>"),
        )
        caller.send(request(caller, "INVITE", f"sip:{BOB}", *forged), front.at)
        invite = await front.server.invite()
        for name, _ in forged:
            assert invite.get(name) == ""
        front.server.answer(invite, 404)


async def test_a_flood_from_one_address_is_not_answered_and_the_others_are(tmp_path: Path) -> None:
    async with (
        ScriptedServer.start() as server,
        Kamailio.start(tmp_path, [server.address], requests_per_second=20) as proxy,
        Peer.start("127.0.0.2") as flooding,
        Peer.start("127.0.0.3") as quiet,
    ):
        for _ in range(300):
            flooding.send(request(flooding, "OPTIONS", "sip:example.com"), (proxy.host, proxy.port))
        quiet.send(request(quiet, "OPTIONS", "sip:example.com"), (proxy.host, proxy.port))
        await quiet.expect(200)
        blocked = request(flooding, "OPTIONS", "sip:example.com")
        flooding.send(blocked, (proxy.host, proxy.port))
        quiet.send(request(quiet, "OPTIONS", "sip:example.com"), (proxy.host, proxy.port))
        await quiet.expect(200)
        assert "BLOCKing ip 127.0.0.2" in proxy.log
        assert len(flooding.came) < 150
        assert read(blocked).get("Call-ID") not in {message.get("Call-ID") for message in flooding.came}


async def _who_is_asked(servers: dict[str, ScriptedServer]) -> ScriptedServer:
    async with asyncio.timeout(60):
        while True:
            for server in servers.values():
                if any(message.method == "INVITE" for message in server.peer.waiting):
                    return server
            await asyncio.sleep(0.01)


async def _forget_invites(servers: dict[str, ScriptedServer]) -> None:
    for server in servers.values():
        server.peer.waiting.clear()
