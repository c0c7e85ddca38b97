"""Starting, stopping, and what is in the way: one clear line and exit code 1, or 503 until it is back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ringback.errors import StartRefused
from ringback.installation import prepare_database
from ringback.settings import load_settings
from tests.journeys.conftest import NewServer
from tests.journeys.phones import Bank, sign
from tests.journeys.processes import children, refused, wait_until_ended
from tests.peers.postgres import PostgresCluster
from tests.peers.server import ServerProcess, free_port

SHORTLY = 60.0


@pytest.fixture
def prepared(new_server: NewServer) -> ServerProcess:
    """A server whose database has its schema and no keys yet."""
    return new_server()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that happens by itself."""
    gives_up_at = time.monotonic() + SHORTLY
    while not condition():
        assert time.monotonic() < gives_up_at
        await asyncio.sleep(0.02)


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@pytest.mark.parametrize("listener", ["public", "internal"])
def test_a_port_in_use(prepared: ServerProcess, listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        setattr(prepared, f"{listener}_port", port)
        line = refused(prepared)
    assert f"RINGBACK_{listener.upper()}_LISTEN: cannot listen on 127.0.0.1:{port}: Address already in use." in line
    assert not (prepared.folder / "instance.key").exists()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_of_sip_in_use(new_server: NewServer, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refused(new_server(sip_listen=address))
    assert f"RINGBACK_SIP_LISTEN: cannot listen on {address}: Address already in use." in line


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_whoever_started_it_has_closed(prepared: ServerProcess, closed: str) -> None:
    command = f"exec {sys.executable} -m ringback serve {closed}"
    process = subprocess.Popen(["/bin/sh", "-c", command], env=prepared.environment, stdout=subprocess.DEVNULL)
    try:
        asyncio.run(until(lambda: process.poll() is not None or is_open(prepared.internal_port)))
        assert process.poll() is None
        prepared.call("GET", "/health/ready")
        number = 2 if "2>&-" in closed else 1
        assert str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) == os.devnull
        process.terminate()
        assert process.wait(SHORTLY) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("command", ["--help", "config show --json", "serve"])
def test_an_output_on_a_disk_that_is_full(prepared: ServerProcess, command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ringback", *command.split()],
            env=prepared.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=4 * SHORTLY,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "ringback: cannot write: No space left on device.\n")


def test_a_data_folder_that_cannot_be_written(new_server: NewServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    server = new_server(folder="file/data", fresh=True)
    assert f"The data folder {server.folder} cannot be written: Not a directory." in refused(server)


def test_a_second_server_on_the_same_data(prepared: ServerProcess, new_server: NewServer) -> None:
    prepared.start()
    second = new_server()
    line = refused(second)
    assert f"is in use by another ringback process (pid {prepared.pid}). Stop it first." in line
    prepared.call("GET", "/health/ready")
    assert prepared.stop() == 0


def test_a_postgresql_that_is_down(new_server: NewServer) -> None:
    port = free_port()
    line = refused(new_server(f"postgresql://ringback:hush@127.0.0.1:{port}/ringback"))
    assert f"PostgreSQL at 127.0.0.1:{port} cannot be reached: " in line
    assert "hush" not in line


def test_a_database_that_is_not_there(new_server: NewServer, cluster: PostgresCluster) -> None:
    assert 'database "nowhere" does not exist' in refused(new_server(cluster.url("nowhere")))


def test_the_key_file_of_another_installation(prepared: ServerProcess) -> None:
    prepared.cli("admin", "create-user", "root", "--role", "admin")
    key_file = prepared.folder / "instance.key"
    fits = key_file.read_text()
    key_file.write_text("0badc0de " + "00" * 32 + "\n")
    line = refused(prepared)
    assert f"sealed with instance key {fits.split()[0]}, which the key file does not have" in line
    assert "Put back the key file" in line
    key_file.chmod(0o644)
    assert "can be read by others. Run: chmod 600" in refused(prepared)
    key_file.chmod(0o600)
    key_file.write_text(fits[:40])
    assert "is damaged. Put back your copy of it." in refused(prepared)
    key_file.write_text(f"{fits.split()[0]} {'00' * 32}\n")
    assert "does not open with this instance key" in refused(prepared)


async def test_a_database_of_an_older_version(prepared: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is made to want a later schema. For a newer one see `test_cli.py`."""
    monkeypatch.setattr("ringback.installation.HEAD", "9999")
    settings, _ = load_settings({"RINGBACK_DATA_DIR": str(prepared.folder)})
    with pytest.raises(StartRefused, match=r"needs 9999\. Make a backup, then run: ringback db upgrade"):
        await prepare_database(settings)


def test_several_workers_need_postgresql(prepared: ServerProcess) -> None:
    assert "More than one worker needs PostgreSQL" in refused(prepared, "serve", "--workers", "2")
    assert "A worker of its own needs PostgreSQL" in refused(prepared, "worker")


def test_a_trusted_proxy_that_is_no_address(new_server: NewServer) -> None:
    line = refused(new_server(trusted_proxies="somewhere"))
    assert "RINGBACK_TRUSTED_PROXIES: 'somewhere' is not an address or network." in line


def test_wrong_usage_exits_2(prepared: ServerProcess) -> None:
    assert prepared.cli("serve", "--nonsense", check=False).returncode == 2
    assert prepared.cli("nonsense", check=False).returncode == 2


def test_sigint_stops_like_sigterm(prepared: ServerProcess) -> None:
    prepared.start()
    assert prepared.process is not None
    prepared.process.send_signal(signal.SIGINT)
    assert prepared.process.wait(SHORTLY) == 0
    prepared.start()
    assert prepared.stop() == 0
    assert "Traceback" not in prepared.log()


async def test_the_supervisor_keeps_its_children_and_stops_them(new_server: NewServer, postgres_url: str) -> None:
    server = new_server(postgres_url, workers="2")
    server.start()
    first = await asyncio.to_thread(children, server)
    assert len(first) == 3
    for victim in first:
        victim.kill()

    def all_new() -> bool:
        now = [child for child in children(server) if child.status() != psutil.STATUS_ZOMBIE]
        return len(now) == 3 and not {child.pid for child in now} & {child.pid for child in first}

    await until(all_new)
    await asyncio.to_thread(server.wait_until_ready)
    second = children(server)
    began = time.monotonic()
    assert await asyncio.to_thread(server.stop) == 0
    assert time.monotonic() - began < SHORTLY
    wait_until_ended(second, 0)


async def test_a_supervisor_that_is_killed_leaves_nobody_behind(new_server: NewServer, postgres_url: str) -> None:
    server = new_server(postgres_url, workers="2")
    server.start()
    orphans = children(server)
    try:
        server.kill()
        assert len(orphans) == 3
        await asyncio.to_thread(wait_until_ended, orphans, SHORTLY)
    finally:
        for orphan in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[PostgresCluster]:
    """A PostgreSQL that the tests may stop."""
    cluster = PostgresCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def own_url(own_cluster: PostgresCluster) -> str:
    """An empty database there."""
    return own_cluster.url(own_cluster.new_database())


async def test_postgresql_goes_down_and_comes_back(
    own_cluster: PostgresCluster, own_url: str, new_server: NewServer
) -> None:
    server = new_server(own_url, workers="2")
    server.start()
    furnished = server.furnish()
    processes = {child.pid for child in children(server)}
    async with Bank.of(server, furnished) as bank:
        phone = await bank.enrol("patient")
        await asyncio.to_thread(own_cluster.stop, immediately=True)
        began = time.monotonic()
        for _ in range(4):
            phone, header = sign(phone)
            unavailable = await bank.verify(header)
            assert unavailable.status == 503, unavailable
            assert unavailable.body["responseObject"]["code"] == "ERROR_UNABLE_TO_CALL_UPSTREAM_SERVICE"
        assert time.monotonic() - began < 30
        async with bank.session.get(f"{server.internal}/health/ready") as answer:
            assert answer.status == 503
        async with bank.session.get(f"{server.internal}/health/live") as answer:
            assert answer.status == 200
        await asyncio.to_thread(own_cluster.start)
        await asyncio.to_thread(server.wait_until_ready, SHORTLY)
        phone, header = sign(phone)
        assert (await bank.verify(header)).body["signatureValid"] is True
    assert {child.pid for child in children(server)} == processes
    assert await asyncio.to_thread(server.stop) == 0
    assert "Traceback" not in server.log()


def test_servers_that_start_together_on_a_fresh_database(own_url: str, new_server: NewServer) -> None:
    servers = [new_server(own_url, folder=f"data-{n}", workers="2") for n in range(2)]
    key_file = servers[0].folder.parent / "instance.key"
    key_file.write_text("0badc0de " + "42" * 32 + "\n")
    key_file.chmod(0o600)
    for server in servers:
        server.settings["key_file"] = str(key_file)
    starting = [threading.Thread(target=server.start) for server in servers]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()
    assert ["ready" in server.ready_line for server in servers] == [True, True], [one.log() for one in servers]
