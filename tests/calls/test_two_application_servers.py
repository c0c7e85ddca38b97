"""Application servers as processes of their own: one is asked to stop, one of two is killed in the middle of a call."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import pytest

from ringback.store import PostgresLocation, Query, Tx
from ringback.store.migrate import upgrade
from tests.calls.kamailio import Kamailio
from tests.calls.ports import free_port
from tests.calls.scene import Scene, until
from tests.calls.scripted_proxy import Invited, ScriptedProxy, contact, reginfo
from tests.calls.sipp import register, run_sipp, sipp
from tests.journeys.processes import children
from tests.peers.postgres import PostgresCluster
from tests.peers.server import ServerProcess

every_push = Query("test_every_push", "What calls were pushed with.", "SELECT push_id FROM call_pushes", row=str)


@pytest.fixture
def other(tmp_path: Path, cluster: PostgresCluster) -> ServerProcess:
    """The other server; its database is upgraded, and it is not started yet."""
    url = cluster.url(cluster.new_database())
    upgrade(PostgresLocation(url))
    (tmp_path / "other").mkdir()
    return ServerProcess(tmp_path / "other", url)


def settings_of(scene: Scene, address: str) -> dict[str, str]:
    """Of a server beside the one of the scene."""
    return {
        "sip_listen": address,
        "sip_mode": "application-server",
        "sip_proxies": "127.0.0.1",
        "apns_url": scene.apns.url,
        "push_ca_file": str(scene.apns.ca_file),
        "key_file": str(scene.served.installation.settings.key_path),
    }


async def test_a_server_that_is_asked_to_stop_answers_its_callers_first(tmp_path: Path, other: ServerProcess) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with Scene.start(tmp_path, other.database_url) as scene, ScriptedProxy.start(address) as proxy:
        (token,) = await scene.subscriber()
        other.settings = settings_of(scene, address)
        await asyncio.to_thread(other.start)
        try:
            assert f"udp:{address}" in other.ready_line
            invited = proxy.invite()
            await proxy.watch()
            await scene.pushed(token)
        finally:
            stopping = asyncio.create_task(asyncio.to_thread(other.stop))
        assert (await proxy.final(invited)).status == 480
        assert await stopping == 0
        record = await scene.record()
        assert (record.outcome, record.status, record.reason) == ("OVERLOADED", 480, "the server stopped")


async def test_a_server_that_stops_says_so_before_it_is_gone(tmp_path: Path, sqlite_url: str) -> None:
    async with (
        Scene.start(tmp_path, sqlite_url, drain_seconds=5) as scene,
        ScriptedProxy.start(scene.address) as proxy,
    ):
        assert await _is_there(proxy, "before") == 200
        stopping = asyncio.create_task(scene.stop())
        await asyncio.sleep(0)
        assert await _is_there(proxy, "after") == 503
        assert (await proxy.final(proxy.invite())).status == 503
        await stopping


async def _is_there(proxy: ScriptedProxy, call_id: str) -> int:
    """What an OPTIONS is answered, by which a proxy finds out who is there."""
    fields = Invited(
        uri=f"sip:{proxy.server[0]}",
        via=f"SIP/2.0/UDP {proxy.peer.address};branch=z9hG4bK{call_id}",
        from_=f"<sip:{proxy.peer.address}>;tag=1",
        to=f"<sip:{proxy.server[0]}>",
        call_id=call_id,
        cseq=1,
    ).fields("OPTIONS")
    proxy.send(f"OPTIONS sip:{proxy.server[0]}:{proxy.server[1]} SIP/2.0", fields)
    return (await proxy.peer.expect(lambda message: message.get("Call-ID") == call_id)).status


async def test_when_one_is_killed_in_the_middle_of_a_call_new_calls_go_to_the_other(
    tmp_path: Path, other: ServerProcess
) -> None:
    first_address, other_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
    (tmp_path / "kamailio").mkdir()
    async with (
        Kamailio.start(tmp_path / "kamailio", [first_address, other_address]) as proxy,
        Scene.start(tmp_path, other.database_url, sip_listen=first_address, sip_proxy=proxy.address) as scene,
    ):
        other.settings = {**settings_of(scene, other_address), "sip_proxy": proxy.address}
        await asyncio.to_thread(other.start)
        try:
            for address in (first_address, other_address):
                await proxy.until_server(address, alive=True)
            tokens = {name: (await scene.subscriber(name))[0] for name in ("bob", "carol", "dave", "eve")}
            async with (
                sipp(tmp_path, "caller", proxy.address, callee="bob"),
                sipp(tmp_path, "caller", proxy.address, callee="carol"),
            ):
                for name in ("bob", "carol"):
                    await scene.pushed(tokens[name])
                await until(lambda: scene.served.rooms.calls.wake_ups.count == 1)
                other.kill()
                for name in ("dave", "eve"):
                    async with sipp(tmp_path, "phone", proxy.address) as phone:
                        calling = asyncio.create_task(run_sipp(tmp_path, "caller", proxy.address, callee=name))
                        await scene.pushed(tokens[name])
                        await register(tmp_path, proxy.address, name, phone.contact(name))
                        call = await calling
                    assert call.successful == 1, (call.statuses, call.errors)
                    assert (await scene.record(f"{name}@example.com")).outcome == "DEFLECTED"
            await proxy.until_server(other_address, alive=False)
            await asyncio.to_thread(other.start)  # on the same address, at once
            await proxy.until_server(other_address, alive=True)
            await scene.stop()
            tokens["frank"] = (await scene.subscriber("frank"))[0]
            async with sipp(tmp_path, "phone", proxy.address) as phone:
                calling = asyncio.create_task(run_sipp(tmp_path, "caller", proxy.address, callee="frank"))
                await scene.pushed(tokens["frank"])
                await register(tmp_path, proxy.address, "frank", phone.contact("frank"))
                call = await calling
            assert call.successful == 1, (call.statuses, call.errors)
            assert (await scene.record("frank@example.com")).outcome == "DEFLECTED"
        finally:
            if other.process is not None:
                other.kill()


async def test_a_call_that_a_proxy_sends_to_another_server_when_the_first_died_is_not_pushed_again(
    tmp_path: Path, other: ServerProcess
) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with Scene.start(tmp_path, other.database_url) as scene, ScriptedProxy.start(address) as proxy:
        (token,) = await scene.subscriber()
        other.settings = settings_of(scene, address)
        await asyncio.to_thread(other.start)
        try:
            first = proxy.invite()
            await proxy.watch()
            await scene.pushed(token)
            await until(lambda: _stored_pushes(scene, 1))
            other.kill()
            await _comes_again(proxy, first, scene.address)
            await asyncio.to_thread(other.start)
            await _comes_again(proxy, first, address)
            records = await scene.records(count=2)
            assert [one.outcome for one in records] == ["DEFLECTED"] * 2
            assert all("not pushed again" in one.steps for one in records)
            assert len(await scene.pushed(token)) == 1
        finally:
            if other.process is not None:
                other.kill()


async def _comes_again(proxy: ScriptedProxy, first: Invited, server: str) -> None:
    """The same call at this server, and the phone that rings already registers."""
    host, _, port = server.rpartition(":")
    proxy.server = (host, int(port))
    again = proxy.invite(call_id=first.call_id)
    watched = await proxy.watch()
    proxy.notify(watched, reginfo(contact()))
    assert (await proxy.final(again)).status == 302


async def _stored_pushes(scene: Scene, count: int) -> bool:
    async def read(tx: Tx) -> int:
        return len(await tx.all(every_push))

    return await scene.served.installation.store.read(read) == count


async def test_the_role_that_takes_calls_comes_back_when_it_is_killed(tmp_path: Path, other: ServerProcess) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with Scene.start(tmp_path, other.database_url) as scene, ScriptedProxy.start(address) as proxy:
        tokens = {name: (await scene.subscriber(name))[0] for name in ("bob", "carol")}
        other.settings = {**settings_of(scene, address), "workers": "2"}
        await asyncio.to_thread(other.start)
        try:
            proxy.invite()
            await proxy.watch()
            await scene.pushed(tokens["bob"])
            await until(lambda: _in_flight(other, 1))
            (role,) = [child for child in children(other) if "sip" in child.cmdline()]
            role.kill()
            invited = proxy.invite("carol@example.com")

            async def is_taken() -> bool:
                proxy.send_invite(invited)  # again, as every caller does
                await asyncio.sleep(0.2)
                return any(one.status and one.get("Call-ID") == invited.call_id for one in proxy.peer.came)

            await until(is_taken, 60)
            watched = await proxy.watch()
            await scene.pushed(tokens["carol"])
            proxy.notify(watched, reginfo(contact(), aor="sip:carol@example.com"))
            assert (await proxy.final(invited)).status == 302
            assert (await scene.record("carol@example.com")).outcome == "DEFLECTED"
            await until(lambda: _in_flight(other, 0))
        finally:
            assert await asyncio.to_thread(other.stop) == 0


async def _in_flight(server: ServerProcess, count: int) -> bool:
    """Whether one scrape shows so many calls that wait, over all processes."""

    def scrape() -> list[str]:
        with urllib.request.urlopen(f"{server.internal}/metrics", timeout=30) as answer:
            return list(answer.read().decode().splitlines())

    lines = await asyncio.to_thread(scrape)
    return f'ringback_calls_in_flight{{mode="application-server"}} {count}.0' in lines
