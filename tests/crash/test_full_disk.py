"""The disk is full under a running server: 503, nothing half done, and everything goes on when there is room again."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journeys.conftest import NewServer
from tests.journeys.phones import Bank, sign
from tests.peers.server import ServerProcess

SMALL = 4 * 1024 * 1024


@dataclass
class SmallDisk:
    """A folder whose disk can be made full.

    A real small file system where one may be mounted; elsewhere a limit on the size of any file that the server
    writes, which its kernel refuses with an error in the same place.
    """

    folder: Path

    def fill(self, server: ServerProcess) -> None:
        """No room from now on."""
        if not os.path.ismount(self.folder):
            log = self.folder / "data" / "ringback.db-wal"
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))
            return
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            while True:
                try:
                    ballast.write(bytes(4096))
                except OSError:
                    return

    def free(self, server: ServerProcess) -> None:
        """Room again."""
        if os.path.ismount(self.folder):
            (self.folder / "ballast").unlink()
        else:
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)]
    mounted = subprocess.run(mounting, check=False, capture_output=True)
    yield SmallDisk(folder)
    if mounted.returncode == 0:
        subprocess.run(["umount", "-l", str(folder)], check=False)


async def test_a_full_disk(small_disk: SmallDisk, new_server: NewServer) -> None:
    server = new_server(folder="small/data", activation_validity_seconds="3600", log_format="json")
    server.start()
    furnished = server.furnish()
    async with Bank.of(server, furnished) as bank:
        phone = await bank.enrol("before")
        phone, acknowledged = sign(phone)
        assert (await bank.verify(acknowledged)).body["signatureValid"] is True
        kept: list[str] = []

        async def register(number: int) -> int:
            content = {"userId": f"user-{number}", "appId": "bank", "flags": ["x" * 200] * 10}
            answer = await bank.call("POST", "/v2/registrations", content)
            if answer.status == 200:
                kept.append(answer.body["registrationId"])
            else:
                assert answer.body["responseObject"]["code"] == "ERROR_UNABLE_TO_CALL_UPSTREAM_SERVICE"
            return answer.status

        await asyncio.to_thread(small_disk.fill, server)
        # The write-ahead log may have some room left inside; it is used up within a few requests.
        gives_up_at = time.monotonic() + 60
        number = 0
        while 503 not in [await register(number + lane) for lane in range(20)]:
            number += 20
            assert time.monotonic() < gives_up_at
        refused = await asyncio.gather(*(register(number) for number in range(100, 150)))
        assert refused.count(503) >= 45
        # Reading goes on, the process lives, and a signature that could not be counted is not told to be valid.
        assert (await bank.registration(kept[0] if kept else phone.activation_id)).status == 200
        phone, unsure = sign(phone)
        assert (await bank.verify(unsure)).status == 503
        async with bank.session.get(f"{server.internal}/health/live") as answer:
            assert answer.status == 200

        await asyncio.to_thread(small_disk.free, server)
        assert await asyncio.gather(*(register(number) for number in range(200, 220))) == [200] * 20
        assert (await bank.verify(unsure)).body["signatureValid"] is True
        assert (await bank.verify(acknowledged)).body["signatureValid"] is False

        assert await asyncio.to_thread(server.stop) == 0
        await asyncio.to_thread(server.start)
        found = await asyncio.gather(*(bank.registration(one) for one in kept))
        assert {one.status for one in found} == {200}
        assert (await bank.verify(unsure)).body["signatureValid"] is False
        assert (await bank.verify(sign(phone)[1])).body["signatureValid"] is True
