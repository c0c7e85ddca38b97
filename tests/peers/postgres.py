"""A real PostgreSQL cluster of our own: in a temporary folder, on a free port, as an unprivileged user."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

INSTALL = "PostgreSQL is not installed, and these tests need it. Run: apt-get install -y postgresql"
_START_SECONDS = 60
_MEMORY = Path("/dev/shm")
_MEMORY_NEEDED = 2 << 30


def binaries() -> Path:
    """The folder with `postgres` and `initdb`, of the newest version installed; fails with the command to run."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"),
        key=lambda path: int(path.parent.parent.name) if path.parent.parent.name.isdigit() else 0,
    )
    if installed:
        return installed[-1].parent
    found = shutil.which("postgres")
    if found is None:
        raise AssertionError(INSTALL)
    return Path(found).resolve().parent


class PostgresCluster:
    """One server. Each test gets a database of its own, copied from a template.

    `durable`: what it acknowledged survives a power cut as well; tests do without, benches do not.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        self._binaries = binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="ringback-postgres-", dir=None if durable else _memory()))
        self._account = _unprivileged_account()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()
        self.port = _free_port()
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        self._as_account([
            str(self._binaries / "initdb"), "--pgdata", str(self._folder / "data"), "--username=ringback",
            "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
        ])  # fmt: skip

    def url(self, database: str = "postgres") -> str:
        """Where a database is."""
        return f"postgresql://ringback@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """The same over the server's Unix socket."""
        return f"postgresql://ringback@/{database}?host={self._folder}&port={self.port}"

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "max_connections": "120",
            "shared_buffers": "32MB",
            "deadlock_timeout": "100ms",
        }
        if not self._durable:
            options["max_wal_size"] = "128MB"
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), *flags],
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._folder,
                **self._identity(),
            )
        gives_up_at = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                self.run("SELECT 1")
                return
            if self._process.poll() is not None or time.monotonic() > gives_up_at:
                raise AssertionError("PostgreSQL did not start:\n" + (self._folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def stop(self, *, immediately: bool = False) -> None:
        """Ends the server: in order, or as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(15)
            self._process = None

    def remove(self) -> None:
        """Ends the server and deletes its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, sql: str, database: str = "postgres") -> None:
        """Runs SQL, from a test without an event loop or from another thread."""

        async def connect_and_run() -> None:
            connection = await asyncpg.connect(self.url(database), timeout=5)
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        asyncio.run(connect_and_run())

    def new_database(self, template: str = "template1") -> str:
        """Makes a database; returns its name."""
        name = f"test_{next(self._names)}"
        # Since version 15 PostgreSQL also writes the copy into its log, unless it is told not to.
        strategy = " STRATEGY FILE_COPY" if self._version() >= 15 else ""
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{strategy}')
        return name

    def drop_database(self, name: str) -> None:
        """Deletes a database, also one that is in use."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _version(self) -> int:
        return int((self._folder / "data" / "PG_VERSION").read_text())

    def _as_account(self, command: list[str]) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self._folder, **self._identity()
        )
        if done.returncode != 0:
            raise AssertionError(f"{command[0]} failed: {done.stderr}")

    def _identity(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


def _memory() -> Path | None:
    """Where files are in memory, if there is room: a new database is 400 files, half a second of a disk."""
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _MEMORY_NEEDED:
        return _MEMORY
    return None


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Whom to be when we are root, which PostgreSQL refuses to be run by."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("PostgreSQL does not run as root, and there is no account postgres or nobody to run it.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
