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
    await execute(location, "UPDATE alembic_version SET version_num = 'from the future'")
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


async def test_push_tokens_of_apns_become_lower_case_and_of_two_the_last_that_was_told_stays(
    location: SqliteLocation | PostgresLocation,
) -> None:
    number, other, odd = "AB" * 32, "cD" * 8, "ABC" * 7
    rows = [
        ("old", "apns", number, 1),
        ("new", "apns", number.lower(), 2),
        ("voip", "apns-voip", number, 1),
        ("first", "apns", other, 3),
        ("second", "apns", other.upper(), 3),
        ("made up", "apns", "Simulator-1", 1),
        ("odd", "apns", odd, 1),
        ("fcm", "fcm", number, 1),
        ("lower", "apns-voip", "ef" * 32, 1),
    ]
    values = ", ".join(f"('{id_}', 'bank', 'jan', '{kind}', '{text}', false, {at}, 1)" for id_, kind, text, at in rows)
    columns = "id, app_id, user_id, kind, push_token, suspended, registered_at, version"
    await execute(location, "INSERT INTO apps (id, roles, created_at, version) VALUES ('bank', '[]', 1, 1)")
    await execute(location, f"INSERT INTO push_tokens ({columns}) VALUES {values}")
    await execute(location, "UPDATE alembic_version SET version_num = '0004'")
    assert await upgrade_in_subprocess(location) is True
    assert await current_revision(location) == HEAD
    found = await execute(location, "SELECT id, push_token, version FROM push_tokens ORDER BY id")
    assert found == [
        ("fcm", number, 1),
        ("lower", "ef" * 32, 1),
        ("made up", "Simulator-1", 1),
        ("new", number.lower(), 1),
        ("odd", odd, 1),
        ("second", other.lower(), 2),
        ("voip", number.lower(), 2),
    ]


async def execute(location: SqliteLocation | PostgresLocation, sql: str) -> list[tuple[object, ...]]:
    """One statement; what it returns."""
    if isinstance(location, SqliteLocation):
        connection = apsw.Connection(str(location.path))
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()
    other = await asyncpg.connect(location.url)
    try:
        return [tuple(row) for row in await other.fetch(sql)]
    finally:
        await other.close()


def test_the_serving_process_loads_neither_alembic_nor_sqlalchemy() -> None:
    code = (
        "import sys, ringback.store, ringback.store.migrate\n"
        "print([name for name in ('alembic', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_left_to_do_from_the_newest_schema() -> None:
    assert "CREATE" not in migration_sql(HEAD)
