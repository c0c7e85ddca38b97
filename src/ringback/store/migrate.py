"""Brings a database to the schema that this version of the program needs.

`serve` runs `python -m ringback.store.migrate --database-url URL` as a process of its own, so that Alembic and
SQLAlchemy (half a second and many megabytes) never load into a serving process. Forward only; a migration is one
transaction on both databases.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import asyncpg  # type: ignore[import-untyped]

from ringback.errors import StartRefused
from ringback.store.location import Location, PostgresLocation, SqliteLocation, locate

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""Every revision that this version of the program knows, oldest first; a test compares them with the scripts."""
HEAD = REVISIONS[-1]
"""The one that it works with."""

_URL_VARIABLE = "RINGBACK_MIGRATE_DATABASE_URL"
_LOCK = 0x72696E676261636B  # "ringback": two processes that start together migrate one after the other
_CONNECT_SECONDS = 5


async def current_revision(location: Location) -> str | None:
    """The schema that a database has; None when it is empty or not there. Raises StartRefused."""
    if isinstance(location, SqliteLocation):
        return _sqlite_revision(location.path)
    try:
        connection = await asyncpg.connect(location.url, timeout=_CONNECT_SECONDS)
        try:
            return await _postgres_revision(connection)
        finally:
            await connection.close(timeout=_CONNECT_SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StartRefused(f"PostgreSQL at {location.server} cannot be reached: {reason}.", cause=error) from error


async def _postgres_revision(connection: Any) -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


def _sqlite_revision(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            if not connection.table_exists("main", "alembic_version"):
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return None if row is None else str(row[0])
        finally:
            connection.close()
    except apsw.Error as error:
        raise StartRefused(f"The database file {path} cannot be opened: {error}.", cause=error) from error


def refuse_newer(revision: str | None) -> None:
    """Raises StartRefused for a database that a newer version of this program has upgraded."""
    if revision is not None and revision not in REVISIONS:
        raise StartRefused(
            f"The database has schema {revision}, which this version does not know (its own is {HEAD}): a newer version"
            " of ringback has upgraded it. Run the newer one, or restore a backup from before the upgrade."
        )


async def upgrade_in_subprocess(location: Location) -> bool:
    """Upgrades when needed; True when it did. Raises StartRefused, also for a database newer than this program."""
    revision = await current_revision(location)
    refuse_newer(revision)
    if revision == HEAD:
        return False
    # The URL goes by the environment: an argument would show a password to everybody on the machine.
    environment = {**os.environ, _URL_VARIABLE: _as_url(location)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ringback.store.migrate",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    if process.returncode != 0:
        last_line = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise StartRefused(last_line or "The database could not be upgraded.")
    return True


def upgrade(location: Location) -> None:
    """Upgrades in this process (loads Alembic). Raises StartRefused."""
    from alembic.util import CommandError  # noqa: PLC0415 - slow to import, and only this function needs it
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    try:
        if isinstance(location, SqliteLocation):
            _upgrade_sqlite(location.path)
        else:
            asyncio.run(_upgrade_postgres(location.url))
    except CommandError as error:
        raise StartRefused(
            f"The database was made by another version of this program ({error}). Run the newer one.",
            cause=error,
        ) from error
    except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise StartRefused(f"The database could not be upgraded: {reason}.", cause=error) from error


def _upgrade_sqlite(path: Path) -> None:
    from alembic import command  # noqa: PLC0415
    from sqlalchemy import URL, create_engine, event  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)

    # A new file is for us alone; the log files beside it take over its mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))

    # Python's driver would end the transaction before each CREATE TABLE; this way it leaves transactions to us.
    @event.listens_for(engine, "connect")
    def _(driver_connection: Any, _record: object) -> None:
        driver_connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


async def _upgrade_postgres(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
    try:
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            script = migration_sql(await _postgres_revision(connection))
            if script.strip():
                await connection.execute(script)
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)


def migration_sql(revision: str | None) -> str:
    """What brings a PostgreSQL database from `revision` (None: empty) to the newest schema."""
    from alembic import command  # noqa: PLC0415

    config = _config()
    config.output_buffer = io.StringIO()
    command.upgrade(config, f"{revision or 'base'}:head", sql=True)
    return config.output_buffer.getvalue()


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _as_url(location: Location) -> str:
    return location.url if isinstance(location, PostgresLocation) else f"sqlite:///{location.path.absolute()}"


def main() -> int:
    """The entry of the subprocess: one clear line on stderr and exit status 1 when it cannot be done."""
    parser = argparse.ArgumentParser(prog="ringback.store.migrate", description="Upgrades the database.")
    parser.add_argument("--database-url", default=os.environ.get(_URL_VARIABLE))
    arguments = parser.parse_args()
    if not arguments.database_url:
        parser.error(f"say which database: --database-url or {_URL_VARIABLE}")
    try:
        upgrade(locate(arguments.database_url, Path()))
    except StartRefused as refusal:
        sys.stderr.write(f"{refusal.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
