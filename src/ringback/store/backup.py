"""Backup and restore of the whole database, as `ringback db backup` and `ringback db restore` do them.

A backup is made while the server runs and shows one moment. It holds no instance key: keep the key file elsewhere.
These functions block for as long as the disk needs; a serving process calls `backup` in a thread, where the work is one
call into C that lets go of the interpreter. What cannot be done is refused with StartRefused, in one line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import apsw

from ringback.clock import Clock
from ringback.errors import StartRefused
from ringback.store.location import Location, PostgresLocation, SqliteLocation
from ringback.store.lockfile import DataLock

COUNTERS_WENT_BACK = """\
The database is as it was when the backup was made. What happened since is forgotten:
- Phones that were activated since are unknown here: activate them again.
- Phones that signed since are ahead of their stored counter. Up to 20 signatures ahead (the look-ahead) they catch up
  by themselves; further ahead their signatures are refused, and they must be activated again.
- Signatures made since the backup would be accepted a second time: an approval that somebody recorded can be replayed.
- Approvals, rejections and cancellations since are forgotten: operations that were pending are pending again until they
  expire. Check with the systems that acted upon them.
- Phones blocked or removed since are active again, and so are system users that were disabled: block them again now.
- The nonces of MAC tokens and encrypted requests seen since are forgotten: within their time window they can be
  replayed once.
- Pushes and callbacks that were delivered since may be delivered again, with the same ids.
The instance key is not in a backup: the key file must be the one that belonged to this database."""

# Matches APPLICATION_NAME of `postgres.py` and its listener.
_OUR_CONNECTIONS = """\
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'ringback%'"""


def backup(location: Location, target: Path) -> None:
    """Writes a backup to a new file, mode 0600, complete and on disk when this returns."""
    if target.exists():
        raise StartRefused(f"{target} exists already. Choose another name.")
    partial = target.with_name(target.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if isinstance(location, SqliteLocation):
            _backup_sqlite(location.path, partial)
        else:
            _postgres_tool(location.url, ["pg_dump", "--format=custom", "--no-owner", f"--file={partial}"])
        _to_disk(partial)
        partial.rename(target)
        _to_disk(target.parent)
    except (OSError, apsw.Error) as error:
        raise StartRefused(f"The backup to {target} failed: {error}.", cause=error) from error
    finally:
        partial.unlink(missing_ok=True)


def restore(location: Location, source: Path, data_dir: Path, clock: Clock) -> str:
    """Puts a backup in the place of the database, which is kept aside. Returns what whoever did it must know.

    Refused while a server runs on it.
    """
    if not source.is_file():
        raise StartRefused(f"There is no backup file {source}.")
    aside_suffix = f"before-restore-{clock.now_ms()}"
    try:
        if isinstance(location, SqliteLocation):
            with DataLock(data_dir):
                aside = _restore_sqlite(location.path, source, aside_suffix)
        else:
            aside = _restore_postgres(location, source, data_dir / f"postgres.{aside_suffix}.dump")
    except (OSError, apsw.Error) as error:
        raise StartRefused(f"Restoring {source} failed: {error}.", cause=error) from error
    kept = f"The database from before is kept in {aside}.\n" if aside is not None else ""
    return kept + COUNTERS_WENT_BACK


def _backup_sqlite(path: Path, target: Path) -> None:
    if not path.exists():
        raise StartRefused(f"There is no database {path}.")
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        # One read transaction, so one moment; the writer goes on meanwhile.
        connection.execute("VACUUM INTO ?", (str(target),))
    finally:
        connection.close()
    _check_sqlite(target)


def _check_sqlite(path: Path) -> None:
    try:
        connection = apsw.Connection(
            f"file:{quote(str(path))}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
        try:
            answer = connection.execute("PRAGMA integrity_check(1)").fetchall()
            ours = connection.table_exists("main", "alembic_version")
        finally:
            connection.close()
    except apsw.Error as error:
        raise StartRefused(f"{path} is not a whole backup: {error}.", cause=error) from error
    if answer != [("ok",)] or not ours:
        raise StartRefused(f"{path} is not a whole backup of a ringback database.")


def _restore_sqlite(path: Path, source: Path, aside_suffix: str) -> Path | None:
    _check_sqlite(source)
    partial = path.with_name(path.name + ".restoring")
    shutil.copyfile(source, partial)
    partial.chmod(0o600)
    _to_disk(partial)
    aside = None
    if path.exists():
        aside = path.with_name(f"{path.name}.{aside_suffix}")
        # The log belongs to its file: all parts move under the new name, so that the old database opens there whole.
        for suffix in ("-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    partial.rename(path)
    _to_disk(path.parent)
    return aside


def _restore_postgres(location: PostgresLocation, source: Path, aside: Path) -> Path:
    url = location.url
    others = _postgres_tool(
        url,
        [
            "psql",
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--command",
            _OUR_CONNECTIONS,
        ],
    )
    if others.strip() != "0":
        raise StartRefused("The database is in use by a ringback process. Stop all of them first.")
    backup(location, aside)
    _postgres_tool(
        url,
        [
            "pg_restore",
            "--clean",
            "--if-exists",
            "--no-owner",
            "--single-transaction",
            "--exit-on-error",
            f"--dbname={_without_password(url)}",
            str(source),
        ],
        says_database=True,
    )
    return aside


def _postgres_tool(url: str, command: Sequence[str], *, says_database: bool = False) -> str:
    """Runs a tool of PostgreSQL. The password goes by the environment: arguments can be read by everybody."""
    password = urlsplit(url).password
    environment = {**os.environ, "PGCONNECT_TIMEOUT": "5"}
    if password is not None:
        environment["PGPASSWORD"] = unquote(password)
    arguments = list(command) if says_database else [*command, f"--dbname={_without_password(url)}"]
    try:
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise StartRefused(
            f"{command[0]} is not installed. Install PostgreSQL's client: apt-get install postgresql-client",
            cause=error,
        ) from error
    if done.returncode != 0:
        raise StartRefused(f"{command[0]} failed: {done.stderr.strip().rpartition(chr(10))[2]}")
    return done.stdout


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}"))


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
