"""An empty database upgraded by the scripts is the one that `schema/` describes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import apsw
import asyncpg  # type: ignore[import-untyped]
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, create_mock_engine
from sqlalchemy.dialects import postgresql

from ringback.errors import StartRefused
from ringback.store import PostgresLocation, SqliteLocation
from ringback.store.migrate import HEAD, REVISIONS, current_revision, migration_sql, upgrade, upgrade_in_subprocess
from ringback.store.schema import metadata
from tests.peers.postgres import PostgresCluster, binaries

MIGRATIONS = Path(sys.modules["ringback.store.migrate"].__file__ or "").parent / "migrations"


def test_head_is_the_newest_script() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [HEAD]
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(REVISIONS))


def test_sqlite_has_no_drift(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    upgrade(SqliteLocation(path))
    with create_engine(f"sqlite:///{path}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    # Autogenerate looks neither at the conditions of partial indexes nor at WITHOUT ROWID; the texts do.
    created = tmp_path / "created.db"
    metadata.create_all(create_engine(f"sqlite:///{created}"))
    assert texts(path) == texts(created)


def texts(path: Path) -> set[tuple[str, ...]]:
    """Each CREATE statement, its parts sorted: the order of constraints means nothing."""
    connection = apsw.Connection(str(path))
    rows = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'alembic_version'")
    found = {tuple(sorted("".join(str(sql).split()).replace(")", ",").split(","))) for (sql,) in rows}
    connection.close()
    return found


async def test_postgres_has_no_drift(cluster: PostgresCluster) -> None:
    """The schema as pg_dump sees it, from the scripts and from the metadata, in every detail and order."""
    upgraded = await asyncio.to_thread(cluster.new_database)
    created = await asyncio.to_thread(cluster.new_database)
    await asyncio.to_thread(upgrade, PostgresLocation(cluster.url(upgraded)))
    statements: list[str] = []

    def collect(statement: object, *_: object, **__: object) -> None:
        statements.append(str(statement.compile(dialect=postgresql.dialect())))  # type: ignore[attr-defined]

    metadata.create_all(create_mock_engine("postgresql+asyncpg://", collect), checkfirst=False)
    connection = await asyncpg.connect(cluster.url(created))
    await connection.execute(";\n".join(statements))
    await connection.close()
    assert dump(cluster.url(upgraded)) == dump(cluster.url(created))


def dump(url: str) -> list[str]:
    done = subprocess.run(
        [str(binaries() / "pg_dump"), "--schema-only", "--exclude-table=alembic_version", f"--dbname={url}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return [line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


async def test_the_subprocess_upgrades_once(location: SqliteLocation | PostgresLocation) -> None:
    assert await upgrade_in_subprocess(location) is False
    assert await current_revision(location) == HEAD


async def test_the_subprocess_upgrades_an_empty_database(tmp_path: Path, cluster: PostgresCluster) -> None:
    name = await asyncio.to_thread(cluster.new_database)
    for empty in (SqliteLocation(tmp_path / "a file.db"), PostgresLocation(cluster.url(name))):
        assert await current_revision(empty) is None
        assert await upgrade_in_subprocess(empty) is True
        assert await current_revision(empty) == HEAD


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "with ? and % and #.db"
    upgrade(SqliteLocation(path))
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_newer_database_is_refused_in_one_line(location: SqliteLocation | PostgresLocation) -> None:
    newer = "UPDATE alembic_version SET version_num = 'from the future'"
    if isinstance(location, SqliteLocation):
        connection = apsw.Connection(str(location.path))
        connection.execute(newer)
        connection.close()
    else:
        other = await asyncpg.connect(location.url)
        await other.execute(newer)
        await other.close()
    with pytest.raises(StartRefused) as caught:
        await upgrade_in_subprocess(location)
    assert "Run the newer one" in caught.value.message
    assert "\n" not in caught.value.message


async def test_an_upgrade_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE registrations (id TEXT)")
    connection.close()
    with pytest.raises(StartRefused, match="could not be upgraded"):
        await upgrade_in_subprocess(SqliteLocation(path))
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("registrations",)]
    connection.close()


def test_the_serving_process_loads_neither_alembic_nor_sqlalchemy() -> None:
    code = (
        "import sys, ringback.store, ringback.store.migrate\n"
        "print([name for name in ('alembic', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_left_to_do_from_the_newest_schema() -> None:
    assert "CREATE" not in migration_sql(HEAD)
