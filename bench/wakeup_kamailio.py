"""The full wake-up through a real Kamailio: sipp calls, APNs is told, the phone registers, the call is answered.

The phones, APNs and sipp are in other processes than the application server, whose CPU is the figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from bench.figure import Figure
from bench.wakeup_server import DOMAIN, Task, push_token
from bench.wakeup_state import State
from ringback.testing import ApnsDouble
from ringback.testing.record import Received
from tests.calls.kamailio import Kamailio
from tests.calls.ports import free_port
from tests.calls.sipp import SippResult, sipp

CALLS = 2_400
CALLS_PER_SECOND = 300
WAKE_AFTER_SECONDS = 0.5
CPU_MILLISECONDS = 1.3
_REGISTER_AGAIN_SECONDS = 0.5


class _Run(NamedTuple):
    """What came of all calls. `milliseconds`: CPU of the server a call."""

    called: SippResult
    pushes: int
    milliseconds: float


async def full_wakeup() -> list[Figure]:
    """2,400 calls to phones that sleep, at 300 a second: to the reference, and to us."""
    reference = await _run(is_reference=True)
    ours = await _run(is_reference=False)
    return [
        Figure(
            name="wakeup-answered", figure=ours.called.successful, unit="calls", target=CALLS,
            reference=reference.called.successful,
            detail=f"of {CALLS} at {CALLS_PER_SECOND}/s through a real Kamailio: INVITE, SUBSCRIBE, push, REGISTER"
            f" {WAKE_AFTER_SECONDS} s later, NOTIFY, 302, 200; {ours.pushes} pushes,"
            f" {ours.called.retransmissions} retransmissions of the caller{_failures(ours.called)}",
        ),
        Figure(
            name="wakeup-cpu", figure=ours.milliseconds, unit="ms", target=CPU_MILLISECONDS, better="lower",
            reference=reference.milliseconds,
            detail="CPU of the application server a call, with its early media, its push to APNs over HTTP/2 and its"
            " record on SQLite; the reference does as the first prototype: SIP alone, and the phones",
        ),
    ]  # fmt: skip


async def _run(*, is_reference: bool) -> _Run:
    with tempfile.TemporaryDirectory(prefix="ringback-wakeup-") as name:
        folder = Path(name)
        for part in ("kamailio", "server"):
            (folder / part).mkdir()
        listen, port = f"127.0.0.1:{free_port()}", free_port()
        async with (
            ApnsDouble(folder / "apns") as apns,
            Kamailio.start(folder / "kamailio", [listen], port=port, domains=(DOMAIN,), workers=4) as proxy,
            sipp(folder, "phone", proxy.address, calls=CALLS + 1, rate=CALLS_PER_SECOND, trace=False) as phones,
            _sleeping_phones(proxy, phones.contact("phone")) as sleeping,
            _server(
                ["bench.wakeup_reference", listen, proxy.address, phones.contact("phone"), str(WAKE_AFTER_SECONDS)]
                if is_reference
                else ["bench.wakeup_server", _task(folder, listen, proxy.address, apns)]
            ) as server,
        ):
            await proxy.until_server(listen, alive=True)
            apns.on_outcome(sleeping.pushed)
            before = await server.state()
            names = [f"u{number}" for number in range(CALLS)]
            async with sipp(
                folder, "caller", proxy.address, callees=names, calls=CALLS, rate=CALLS_PER_SECOND, trace=False
            ) as caller:
                called = await caller.finished()
            after = await server.state()
            for _ in range(100):
                if not after.waiting:
                    break
                await asyncio.sleep(0.1)
                after = await server.state()
    return _Run(called, sleeping.pushes, (after.cpu_seconds - before.cpu_seconds) * 1000 / CALLS)


def _failures(called: SippResult) -> str:
    """What the others got instead."""
    instead = Counter(re.findall(r"received 'SIP/2.0 (\d{3})", called.errors))
    said = ", ".join(f"{count} got {status}" for status, count in sorted(instead.items()))
    return f"; {said}" if said else ""


class _SleepingPhones(asyncio.DatagramProtocol):
    """Registers whoever was pushed, half a second later, and again until it is answered."""

    def __init__(self, proxy: Kamailio, contact: str) -> None:
        self._to = (proxy.host, proxy.port)
        self._contact = contact
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, str] = {}
        self._names = {push_token(number): f"u{number}" for number in range(CALLS)}
        self.pushes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket for all of them."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is none by class
        self._own = "{}:{}".format(*transport.get_extra_info("sockname")[:2])

    def pushed(self, push: Received) -> None:
        """The phone that was told wakes."""
        self.pushes += 1
        self._loop.call_later(WAKE_AFTER_SECONDS, self._register, self._names[push.push_token], 1)

    def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
        """An answer, whose Call-ID says whose."""
        call_id = data.partition(b"Call-ID: ")[2].partition(b"\r\n")[0].decode()
        if data.startswith(b"SIP/2.0 200"):
            self._waiting.pop(call_id, None)

    def _register(self, name: str, attempt: int) -> None:
        call_id = f"wake-{name}"
        if attempt > 1 and call_id not in self._waiting:
            return
        text = self._waiting.setdefault(call_id, self._text(name, call_id))
        self._transport.sendto(text.encode(), self._to)
        self._loop.call_later(_REGISTER_AGAIN_SECONDS, self._register, name, attempt + 1)

    def _text(self, name: str, call_id: str) -> str:
        return "\r\n".join([
            f"REGISTER sip:{DOMAIN} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._own};branch=z9hG4bK{call_id}",
            f"From: <sip:{name}@{DOMAIN}>;tag={name}",
            f"To: <sip:{name}@{DOMAIN}>",
            f"Call-ID: {call_id}",
            "CSeq: 1 REGISTER",
            f"Contact: {self._contact}",
            "Max-Forwards: 70",
            "Expires: 300",
            "Content-Length: 0",
            "",
            "",
        ])  # fmt: skip


@contextlib.asynccontextmanager
async def _sleeping_phones(proxy: Kamailio, contact: str) -> AsyncIterator[_SleepingPhones]:
    loop = asyncio.get_running_loop()
    transport, phones = await loop.create_datagram_endpoint(lambda: _SleepingPhones(proxy, contact), ("127.0.0.1", 0))
    try:
        yield phones
    finally:
        transport.close()


class _Server:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def state(self) -> State:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return msgspec.json.decode(await self._process.stdout.readline(), type=State)


def _task(folder: Path, listen: str, proxy: str, apns: ApnsDouble) -> str:
    key = apns.key
    task = Task(
        folder=str(folder / "server"),
        subscribers=CALLS,
        listen=listen,
        proxy=proxy,
        apns_url=apns.url,
        ca_file=str(apns.ca_file),
        key_id=key.key_id,
        team_id=key.team_id,
        key_file=str(key.file),
    )
    return msgspec.json.encode(task).decode()


@contextlib.asynccontextmanager
async def _server(module: list[str]) -> AsyncIterator[_Server]:
    """On the first core; everything else goes where there is room."""

    def pin() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module,
        cwd=Path(__file__).parents[1], preexec_fn=pin, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        started = await asyncio.wait_for(process.stdout.readline(), 120)
        if started != b"ready\n":
            raise RuntimeError("the application server did not start")
        yield _Server(process)
    finally:
        process.kill()
        await process.wait()
