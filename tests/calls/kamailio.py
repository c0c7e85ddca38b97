"""A real Kamailio in front of the application servers, with the configuration that `ringback kamailio config` writes.

    async with Kamailio.start(tmp_path, application_servers=["127.0.0.1:5070"]) as proxy:
        proxy.address                 # "127.0.0.1:PORT", UDP and TCP
        await proxy.bindings("bob")   # ["sip:bob@127.0.0.1:6000"]

Without a credential everybody is believed (no digest), which is what most tests of calls want; `domains` defaults to
`example.com`. Whatever `KamailioPlan` takes may be given by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ringback.calls import KamailioPlan, KamailioTls, render_kamailio, render_kamailio_servers
from tests.calls.ports import free_port
from tests.calls.programs import Program, find_program

PACKAGES = "kamailio kamailio-presence-modules kamailio-extra-modules kamailio-utils-modules kamailio-tls-modules"
DOMAIN = "example.com"
_TRIES = 3
_OPTIONS = (
    "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKready\r\nFrom: <sip:test@{own}>;tag=1\r\n"
    "To: <sip:{address}>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
)


class Kamailio:
    """One that runs."""

    def __init__(self, plan: KamailioPlan, folder: Path, program: Program) -> None:
        self.plan = plan
        self.folder = folder
        self._program = program
        self.host, self.port = "127.0.0.1", int(plan.listen[0].rsplit(":", 1)[1])
        self.address = f"{self.host}:{self.port}"
        self.tls_port = int(plan.tls.listen.rsplit(":", 1)[1]) if plan.tls else 0
        self.domain = plan.domains[0]

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(
        folder: Path,
        application_servers: Sequence[str],
        *,
        tls: tuple[Path, Path] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        debug: int = 1,
        workers: int = 1,
        **plan: Any,
    ) -> AsyncIterator[Kamailio]:
        """Starts on free ports (or on `port`) and waits until it answers; `tls`: certificate and key.

        `debug`: 3 logs everything Kamailio does into `folder`/kamailio.log. `workers`: of each UDP socket; with several
        of them a 200 may overtake the 180 before it.
        """
        plan.setdefault("domains", (DOMAIN,))
        plan.setdefault("credential", None)
        plan.setdefault("requests_per_second", 100_000)
        for attempt in range(_TRIES):
            running = await _start_once(folder, application_servers, tls, (host, port), (debug, workers), plan)
            if running is not None:
                break
            assert attempt < _TRIES - 1, f"Kamailio did not start:\n{(folder / 'kamailio.log').read_text()[-4000:]}"
        else:  # pragma: no cover - the last attempt has asserted
            raise AssertionError
        try:
            yield running
        finally:
            await running._program.stop()
            shutil.rmtree(running.plan.run_folder, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return self._program.log

    async def rpc(self, method: str, *arguments: str) -> str:
        """The answer of `kamcmd`, as text."""
        command = [
            find_program("kamcmd", "kamailio"), "-s", f"unix:{self.plan.run_folder}/kamailio_ctl", method, *arguments,
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return output.decode(errors="replace")

    async def bindings(self, user: str) -> list[str]:
        """The Contact URIs that `user` of the first domain is registered with."""
        answer = await self.rpc("ul.lookup", "location", f"{user}@{self.domain}")
        return re.findall(r"^\s*Address:\s*(\S+)", answer, re.MULTILINE)

    async def until_bound(self, user: str, bindings: int = 1, seconds: float = 60) -> None:
        """Waits until `user` has so many bindings."""
        gives_up_at = asyncio.get_running_loop().time() + seconds
        while len(await self.bindings(user)) != bindings:
            assert asyncio.get_running_loop().time() < gives_up_at, f"{user} has {await self.bindings(user)}"
            await asyncio.sleep(0.05)

    async def forget(self, user: str) -> None:
        """Drops all bindings of `user`; its application servers are told, as by an unregistration."""
        await self.rpc("ul.rm", "location", f"{user}@{self.domain}")

    async def application_servers(self) -> dict[str, str]:
        """URI → flags of the dispatcher: A active, I inactive, P probing, X not known yet."""
        answer = await self.rpc("dispatcher.list")
        return dict(re.findall(r"URI:\s*(\S+)\s+FLAGS:\s*(\S+)", answer))

    async def until_server(self, address: str, *, alive: bool, seconds: float = 60) -> None:
        """Waits until an application server (HOST:PORT) is in the rotation, or is out of it."""
        gives_up_at = asyncio.get_running_loop().time() + seconds
        while True:
            flags = (await self.application_servers()).get(f"sip:{address}", "")
            if flags == ("AP" if alive else "IP"):
                return
            assert asyncio.get_running_loop().time() < gives_up_at, await self.rpc("dispatcher.list")
            await asyncio.sleep(0.05)


async def _start_once(
    folder: Path,
    servers: Sequence[str],
    tls: tuple[Path, Path] | None,
    where: tuple[str, int],
    how: tuple[int, int],
    options: dict[str, Any],
) -> Kamailio | None:
    """None when it ended at once, as when somebody took the port. `where`: host and port. `how`: debug and workers."""
    debug, workers = how
    run_folder = tempfile.mkdtemp(prefix="kamailio-")  # short: a path of a Unix socket has 107 characters at most
    listener = None
    if tls is not None:
        listener = KamailioTls(f"127.0.0.1:{free_port()}", str(tls[0]), str(tls[1]), options.get("tls_ca", ""))
    plan = KamailioPlan(
        listen=(f"{where[0]}:{where[1] or free_port()}",),
        application_servers=tuple(servers),
        tls=listener,
        loop_port=free_port(),
        run_folder=run_folder,
        servers_file=str(folder / "application-servers.list"),
        **{name: value for name, value in options.items() if name != "tls_ca"},
    )
    assert not set(options) - set(msgspec.structs.asdict(plan)) - {"tls_ca"}
    (folder / "kamailio.cfg").write_text(render_kamailio(plan))
    (folder / "application-servers.list").write_text(render_kamailio_servers(plan))
    command = [
        find_program("kamailio", PACKAGES), "-DD", "-E", "-f", str(folder / "kamailio.cfg"), "-Y", run_folder,
        "-n", str(workers), "-N", "2", "-M", "16", f"--debug={debug}",
    ]  # fmt: skip
    program = await Program.start(command, folder, folder / "kamailio.log")
    running = Kamailio(plan, folder, program)
    for _ in range(1000):
        if program.is_over:
            await program.stop()
            return None
        if await asyncio.to_thread(_answers, running.host, running.port):
            return running
    await program.stop()
    return None


def _answers(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.settimeout(0.1)
        own = f"127.0.0.1:{probe.getsockname()[1]}"
        with contextlib.suppress(OSError):
            probe.sendto(_OPTIONS.format(address=f"{host}:{port}", own=own).encode(), (host, port))
            return b" 200 " in probe.recv(4096)
    return False
