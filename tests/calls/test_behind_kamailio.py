"""The application server behind a real Kamailio, with sipp and baresip as caller and phone: the issue's proofs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.testing.certificates import Authority
from ringback.testing.record import Received
from tests.calls.baresip import baresip
from tests.calls.forwarder import Forwarder
from tests.calls.kamailio import Kamailio
from tests.calls.ports import free_port
from tests.calls.scene import Scene
from tests.calls.sipp import register, run_sipp, sipp


class Behind:
    """A scene behind a proxy."""

    def __init__(self, scene: Scene, proxy: Kamailio, folder: Path) -> None:
        self.scene = scene
        self.proxy = proxy
        self.folder = folder

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(
        folder: Path, database_url: str, *, plan: dict[str, Any] | None = None, **settings: Any
    ) -> AsyncIterator[Behind]:
        """`plan`: for Kamailio; `settings`: for the application server."""
        proxy_port = free_port()
        settings.setdefault("sip_proxy", f"127.0.0.1:{proxy_port}")
        async with Scene.start(folder, database_url, **settings) as scene:
            servers = (plan or {}).pop("application_servers", [scene.address])
            own = folder / "kamailio"
            own.mkdir()
            async with Kamailio.start(own, servers, port=proxy_port, **(plan or {})) as proxy:
                await proxy.until_server(servers[0], alive=True)
                yield Behind(scene, proxy, folder)

    def phone_wakes(self, push_token: str, contact: str, user: str = "bob", times: int = 1) -> asyncio.Task[None]:
        """When the push arrives the phone registers, as often as it likes."""

        async def wake() -> None:
            await self.scene.pushed(push_token)
            for _ in range(times):
                await register(self.folder, self.proxy.address, user, contact)

        return asyncio.create_task(wake())


@pytest.fixture
async def behind(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Behind]:
    """The usual one."""
    async with Behind.start(tmp_path, sqlite_url) as behind:
        yield behind


async def test_a_call_wakes_the_phone_and_is_answered(tmp_path: Path, database_url: str) -> None:
    async with Behind.start(tmp_path, database_url) as behind:
        (token,) = await behind.scene.subscriber()
        async with sipp(tmp_path, "phone", behind.proxy.address) as phone:
            waking = behind.phone_wakes(token, phone.contact("bob"))
            call = await run_sipp(tmp_path, "caller", behind.proxy.address)
            await waking
            assert (await phone.finished()).successful == 1
        assert call.successful == 1, (call.statuses, call.errors)
        assert call.statuses == [100, 183, 180, 200, 200]
        assert "m=audio" in call.response(183).text
        record = await behind.scene.record()
        assert (record.outcome, record.status, record.pushes) == ("DEFLECTED", 302, 1)
        assert record.registered_at is not None


async def test_baresip_is_woken_and_talks(behind: Behind) -> None:
    (token,) = await behind.scene.subscriber()

    async def phone() -> bytes:
        await behind.scene.pushed(token)
        async with baresip(behind.folder, behind.proxy.address, "bob") as real:
            await real.until_registered()
            await real.until_answered()
            await real.until_ended()
            return real.heard

    talking = asyncio.create_task(phone())
    call = await run_sipp(behind.folder, "caller", behind.proxy.address, talk=500)
    await talking
    assert call.successful == 1, (call.statuses, call.errors)
    assert (await behind.scene.record()).outcome == "DEFLECTED"


async def test_a_phone_that_never_wakes_is_a_480(behind: Behind) -> None:
    await behind.scene.subscriber(mobile_push_expiry=5)
    call = await run_sipp(behind.folder, "caller_refused", behind.proxy.address, status=480)
    assert call.successful == 1, (call.statuses, call.errors)
    assert (await behind.scene.record()).outcome == "TIMEOUT"


async def test_a_caller_who_hangs_up_is_told_487(behind: Behind) -> None:
    (token,) = await behind.scene.subscriber()
    call = await run_sipp(behind.folder, "caller_cancel", behind.proxy.address, wait=1000)
    assert call.successful == 1, (call.statuses, call.errors)
    assert 487 in call.statuses
    record = await behind.scene.record()
    assert (record.outcome, record.pushes) == ("CANCELLED", 1)
    await behind.scene.pushed(token)


async def test_nobody_is_woken_for_calls_that_the_proxy_gave_up_while_we_stood_still(behind: Behind) -> None:
    await behind.scene.subscriber()
    (token,) = await behind.scene.subscriber("carol", mobile_push_expiry=5)
    async with sipp(behind.folder, "caller_refused", behind.proxy.address, status=480) as caller:
        # The proxy waits 4 s. Nothing is read here meanwhile, like in a process that is stopped.
        while 480 not in caller.result().statuses:
            time.sleep(0.1)  # noqa: ASYNC251
    await behind.proxy.until_server(behind.scene.address, alive=True)
    call = await run_sipp(behind.folder, "caller_refused", behind.proxy.address, callee="carol", status=480)
    assert call.successful == 1, (call.statuses, call.errors)
    await behind.scene.pushed(token)
    assert {push.push_token for push in behind.scene.apns.received} == {token}
    await behind.scene.records(count=0)


async def test_whoever_is_registered_is_called_without_us(behind: Behind) -> None:
    await behind.scene.subscriber()
    async with sipp(behind.folder, "phone", behind.proxy.address) as phone:
        await register(behind.folder, behind.proxy.address, "bob", phone.contact("bob"))
        call = await run_sipp(behind.folder, "caller", behind.proxy.address)
    assert call.successful == 1, (call.statuses, call.errors)
    assert 183 not in call.statuses
    await behind.scene.records(count=0)
    assert behind.scene.apns.received == []


async def test_a_phone_that_registers_between_look_up_and_subscribe_is_not_pushed(
    tmp_path: Path, sqlite_url: str
) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with Forwarder.start(address) as line:
        plan = {"application_servers": [line.address]}
        async with Behind.start(
            tmp_path, sqlite_url, plan=plan, sip_listen=address, sip_advertise=line.address
        ) as behind:
            await behind.scene.subscriber()
            async with sipp(tmp_path, "phone", behind.proxy.address) as phone:
                line.hold()
                calling = asyncio.create_task(run_sipp(tmp_path, "caller", behind.proxy.address))
                while not line.held:  # noqa: ASYNC110 - a datagram has no event
                    await asyncio.sleep(0.01)
                await register(tmp_path, behind.proxy.address, "bob", phone.contact("bob"))
                line.release()
                call = await calling
            assert call.successful == 1, (call.statuses, call.errors)
            record = await behind.scene.record()
            assert (record.outcome, record.pushes, record.registered_at) == ("DEFLECTED", 0, None)
            assert behind.scene.apns.received == []


async def test_three_registers_after_one_push_make_one_call(behind: Behind) -> None:
    (token,) = await behind.scene.subscriber()
    async with sipp(behind.folder, "phone", behind.proxy.address) as phone:
        waking = behind.phone_wakes(token, phone.contact("bob"), times=3)
        call = await run_sipp(behind.folder, "caller", behind.proxy.address)
        await waking
        assert (await phone.finished()).methods.count("INVITE") == 1
    assert call.successful == 1, (call.statuses, call.errors)
    assert (await behind.scene.record()).steps.count("deflected") == 1


async def test_two_phones_of_one_user_are_both_pushed(behind: Behind) -> None:
    tokens = await behind.scene.subscriber(phones=2)
    async with sipp(behind.folder, "phone", behind.proxy.address) as phone:
        waking = behind.phone_wakes(tokens[1], phone.contact("bob"))
        call = await run_sipp(behind.folder, "caller", behind.proxy.address)
        await waking
    assert call.successful == 1, (call.statuses, call.errors)
    for token in tokens:
        await behind.scene.pushed(token)
    assert (await behind.scene.record()).pushes == 2


async def test_a_registered_phone_is_woken_when_the_preference_says_always(tmp_path: Path, sqlite_url: str) -> None:
    async with Behind.start(tmp_path, sqlite_url, plan={"every_call": True}) as behind:
        (token,) = await behind.scene.subscriber(mobile_push_enable="always")
        async with sipp(tmp_path, "phone", behind.proxy.address) as phone:
            await register(tmp_path, behind.proxy.address, "bob", phone.contact("bob"))
            waking = behind.phone_wakes(token, phone.contact("bob"))
            call = await run_sipp(tmp_path, "caller", behind.proxy.address)
            await waking
        assert call.successful == 1, (call.statuses, call.errors)
        record = await behind.scene.record()
        assert (record.outcome, record.pushes) == ("DEFLECTED", 1)
        assert record.registered_at is not None, "the binding was renewed after the push"


async def test_the_subscribe_is_asked_for_a_digest(tmp_path: Path, sqlite_url: str) -> None:
    plan = {"subscriber": "ringback", "subscriber_password": "s3cret"}
    async with Behind.start(
        tmp_path, sqlite_url, plan=plan, sip_proxy_user="ringback", sip_proxy_password="s3cret"
    ) as behind:
        (token,) = await behind.scene.subscriber()
        async with sipp(tmp_path, "phone", behind.proxy.address) as phone:
            waking = behind.phone_wakes(token, phone.contact("bob"))
            call = await run_sipp(tmp_path, "caller", behind.proxy.address)
            await waking
        assert call.successful == 1, (call.statuses, call.errors)


async def test_a_wrong_digest_is_a_refused_subscription(tmp_path: Path, sqlite_url: str) -> None:
    plan = {"subscriber": "ringback", "subscriber_password": "s3cret"}
    async with Behind.start(
        tmp_path, sqlite_url, plan=plan, sip_proxy_user="ringback", sip_proxy_password="wrong"
    ) as behind:
        await behind.scene.subscriber()
        call = await run_sipp(tmp_path, "caller_refused", behind.proxy.address, status=480)
        assert call.successful == 1, (call.statuses, call.errors)
        record = await behind.scene.record()
        assert (record.outcome, record.status) == ("SUBSCRIPTION_REFUSED", 500)


async def test_the_caller_may_be_behind_tcp(behind: Behind) -> None:
    (token,) = await behind.scene.subscriber()
    async with sipp(behind.folder, "phone", behind.proxy.address, transport="tcp") as phone:
        waking = behind.phone_wakes(token, phone.contact("bob"))
        call = await run_sipp(behind.folder, "caller", behind.proxy.address, transport="tcp")
        await waking
    assert call.successful == 1, (call.statuses, call.errors)
    assert (await behind.scene.record()).outcome == "DEFLECTED"


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize("names_proxy", [True, False])
async def test_the_way_between_us_may_be_a_stream(
    tmp_path: Path, sqlite_url: str, transport: str, names_proxy: bool
) -> None:
    """With `sip_proxy` the SUBSCRIBE takes a connection of ours; without it the one that the INVITE came over."""
    authority = Authority(tmp_path / "authority")
    files = authority.server()
    address = f"127.0.0.1:{free_port()}"
    settings: dict[str, Any] = {
        "sip_tls_listen": address,
        "tls_certificate": files.certificate,
        "tls_key": files.key,
        "sip_ca_file": authority.file,
    }
    if transport == "tcp":
        settings = {"sip_listen": address}
    server = f"{address};transport={transport}"
    (tmp_path / "kamailio").mkdir()
    async with Kamailio.start(
        tmp_path / "kamailio", [server], tls=(files.certificate, files.key), tls_ca=str(authority.file)
    ) as proxy:
        if names_proxy:
            port = proxy.port if transport == "tcp" else proxy.tls_port
            settings["sip_proxy"] = f"127.0.0.1:{port};transport={transport}"
        async with Scene.start(tmp_path, sqlite_url, **settings) as scene:
            await proxy.until_server(server, alive=True)
            behind = Behind(scene, proxy, tmp_path)
            (token,) = await scene.subscriber()
            async with sipp(tmp_path, "phone", proxy.address) as phone:
                waking = behind.phone_wakes(token, phone.contact("bob"))
                call = await run_sipp(tmp_path, "caller", proxy.address)
                await waking
            assert call.successful == 1, (call.statuses, call.errors)
            assert call.statuses == [100, 183, 180, 200, 200]
            assert (await scene.record()).outcome == "DEFLECTED"


async def test_a_tenth_of_the_datagrams_is_lost_and_a_tenth_doubled_each_way(tmp_path: Path, sqlite_url: str) -> None:
    address, proxy_port = f"127.0.0.1:{free_port()}", free_port()
    bad: dict[str, Any] = {"lost": 0.1, "doubled": 0.1}
    names = [f"user{number}" for number in range(12)]
    async with (
        Forwarder.start(address, **bad, seed=1) as to_us,
        Forwarder.start(f"127.0.0.1:{proxy_port}", **bad, seed=2) as to_proxy,
        Scene.start(
            tmp_path, sqlite_url, sip_listen=address, sip_advertise=to_us.address, sip_proxy=to_proxy.address
        ) as scene,
    ):
        (tmp_path / "kamailio").mkdir()
        async with Kamailio.start(tmp_path / "kamailio", [to_us.address], port=proxy_port) as proxy:
            await proxy.until_server(to_us.address, alive=True)
            tokens = {(await scene.subscriber(name))[0]: name for name in names}
            woken: set[asyncio.Task[Any]] = set()
            async with sipp(tmp_path, "phone", proxy.address, calls=len(names)) as phone:

                def wake(push: Received) -> None:
                    user = tokens[push.push_token]
                    task = asyncio.create_task(register(tmp_path, proxy.address, user, phone.contact(user)))
                    woken.add(task)

                scene.apns.on_outcome(wake)
                call = await run_sipp(
                    tmp_path, "caller", proxy.address, calls=len(names), callees=names, rate=4, trace=False
                )
                await asyncio.gather(*woken)
            assert (call.successful, call.failed) == (len(names), 0), call.errors
            assert len(scene.apns.received) == len(names), "one push for each call, whatever was lost"
            for name in names:
                record = await scene.record(f"{name}@example.com")
                assert (record.outcome, record.pushes) == ("DEFLECTED", 1)
            assert to_us.lost
            assert to_us.doubled
