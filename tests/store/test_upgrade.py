"""A database of an earlier schema, with what a server wrote into every table, is upgraded and goes on being used."""

from __future__ import annotations

import asyncio
import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import asyncpg  # type: ignore[import-untyped]
import pytest
from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from ringback.devices import SignatureCheck
from ringback.installation import open_installation
from ringback.principal import Principal
from ringback.protocols.powerauth.headers import parse_signature_header
from ringback.server import wire
from ringback.settings import load_settings
from ringback.softphone import MemoryState, Phone, Unlock
from ringback.store.location import PostgresLocation, SqliteLocation
from ringback.store.migrate import HEAD, REVISIONS, _config, current_revision, upgrade_in_subprocess
from ringback.store.schema import metadata
from tests.peers.postgres import PostgresCluster
from tests.served import Login, Served

EARLIER = REVISIONS[:-1]
RENAMED = {("push_tokens", "token"): "push_token", ("push_tokens", "updated_at"): "registered_at"}
"""Columns of earlier schemas that have another name today."""
CLI = Principal("cli", "test")
BANK = Principal("system_user", "bank-back-end", "integration")
_COLUMNS_OF_SQLITE = "SELECT name FROM pragma_table_info($1)"
_COLUMNS_OF_POSTGRES = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1"
)

NOT_WRITTEN = {
    "app_configuration", "bindings", "callbacks", "provider_tokens", "recovery_codes", "recovery_puks", "user_claims",
}  # fmt: skip
"""Tables that earlier schemas added and the story does not use: their rows are not touched by later ones."""

Rows = list[tuple[Any, ...]]


class Database:
    """A database of either kind, row by row."""

    def __init__(self, url: str, path: Path) -> None:
        self.url = url
        self.path = path

    async def run(self, sql: str, *args: Any) -> Rows:
        """Runs one statement."""
        if self.url:
            connection = await asyncpg.connect(self.url)
            rows = [tuple(row) for row in await connection.fetch(sql, *args)]
            await connection.close()
            return rows
        file = apsw.Connection(str(self.path))
        rows = file.execute(sql.replace("$", "?"), args).fetchall()
        file.close()
        return rows

    async def make_schema(self, revision: str) -> None:
        """As an earlier release left it."""
        if self.url:
            config = _config()
            config.output_buffer = io.StringIO()
            command.upgrade(config, f"base:{revision}", sql=True)
            connection = await asyncpg.connect(self.url)
            await connection.execute(config.output_buffer.getvalue())
            await connection.close()
        else:
            with create_engine(f"sqlite:///{self.path}", poolclass=NullPool).begin() as sqlite:
                config = _config()
                config.attributes["connection"] = sqlite
                command.upgrade(config, revision)

    async def columns(self) -> dict[str, list[str]]:
        """Every table that is there, with its columns; a table comes after those that it refers to."""
        sql = _COLUMNS_OF_POSTGRES if self.url else _COLUMNS_OF_SQLITE
        found = {table.name: [name for (name,) in await self.run(sql, table.name)] for table in metadata.sorted_tables}
        return {table: names for table, names in found.items() if names}

    async def rows(self, columns: dict[str, list[str]]) -> dict[str, Rows]:
        """All rows of these columns, by the names that they have today, in an order of their own."""
        return {
            table: sorted(
                await self.run(f"SELECT {', '.join(RENAMED.get((table, name), name) for name in names)} FROM {table}"),
                key=repr,
            )
            for table, names in columns.items()
        }


@dataclass
class Story:
    """What is needed to go on with it."""

    phone: Phone
    registration_id: str
    operation_id: str


async def live(served: Served) -> Story:
    """Something for every table."""
    created = (
        await served.call("POST", "/powerauth-cloud/v2/registrations", {"userId": "alice", "appId": "bank"})
    ).body
    phone = Phone(MemoryState(), session=served.session)
    code = created["activationQrCodeData"]
    await phone.activate(served.public, served.app["mobileSdkConfig"], code, name="Phone", pin="1234")
    await served.call("POST", f"/powerauth-cloud/v2/registrations/{created['registrationId']}/commit")
    await phone.create_token()
    await phone.register_push()
    operation = {"userId": "alice", "template": "login"}
    operation_id = (await served.call("POST", "/powerauth-cloud/v2/operations", operation)).body["operationId"]
    assert [one.id for one in await phone.list_operations()] == [operation_id]
    templates = await served.call("GET", "/api/v1/operation-templates", auth=served.admin)
    template = {**templates.body["items"][0], "name": "copy"}
    key = {"Idempotency-Key": "once"}
    made = await served.call("POST", "/api/v1/operation-templates", template, auth=served.admin, headers=key)
    assert made.status == 201
    texts = {"en": {"title": "Closed on Monday", "message": "We are back on Tuesday."}}
    letter = {"userId": "alice", "subject": "Hello", "summary": "Welcome", "body": "Welcome.", "type": "text"}
    for path, body, auth in (
        ("/api/v1/users", {"userId": "alice", "password": "correct horse battery"}, served.admin),
        ("/powerauth-cloud/v2/inbox/messages", letter, None),
        ("/api/v1/campaigns", {"appId": "bank", "name": "Holiday", "texts": texts, "users": ["alice"]}, None),
    ):
        assert (await served.call("POST", path, body, auth=auth)).status < 300
    await call(served)
    subject = {"subject": "mailto:push@example.com"}
    kept = await served.call("PUT", "/api/v1/apps/bank/push-credentials/webpush", subject, auth=served.admin)
    assert kept.status == 200
    return Story(phone, created["registrationId"], operation_id)


async def call(served: Served) -> None:
    """Somebody calls alice, and hangs up."""
    alice = "/api/v1/domains/example.org/subscribers/alice"
    body = {"username": "alice", "userId": "alice", "password": "correct horse"}
    for method, path, said in (
        ("POST", "/api/v1/domains", {"domain": "example.org", "appIds": ["bank"]}),
        ("POST", "/api/v1/domains/example.org/subscribers", body),
        ("PATCH", f"{alice}/preferences", {"mobile_push_enable": "always"}),
    ):
        made = await served.call(method, path, said, auth=served.admin)
        assert made.status < 300, made
    proxy = await served.installation.store.write(served.rooms.access.create_user, CLI, "proxy", "sip-proxy")
    asked = {"callee": "alice@example.org", "caller": "sip:bob@example.com", "callId": "call-1"}
    wakeup = await served.call("POST", "/api/v1/wakeups", asked, auth=Login("proxy", proxy.password))
    assert (wakeup.status, len(wakeup.body["pushes"])) == (201, 1), wakeup
    path = f"/api/v1/wakeups/{wakeup.body['wakeupId']}"
    ended = await served.call("DELETE", path, auth=Login("proxy", proxy.password))
    assert ended.body["state"] == "ENDED", ended


@pytest.mark.parametrize("earlier", EARLIER)
async def test_every_row_is_there_and_usable(
    database_url: str, tmp_path: Path, cluster: PostgresCluster, earlier: str
) -> None:
    async with Served.start(tmp_path, database_url) as served:
        story = await live(served)
        async with asyncio.timeout(60):
            lived = Database(database_url, tmp_path / "ringback.db")
            while not await lived.run("SELECT 1 FROM delivery_attempts"):  # noqa: ASYNC110 - what it waits for is in the database
                await asyncio.sleep(0.05)
        login = served.integration
    before = Database(database_url, tmp_path / "ringback.db")
    folder = tmp_path / "old"
    folder.mkdir()
    name = await asyncio.to_thread(cluster.new_database) if database_url else ""
    old = Database(cluster.url(name) if database_url else "", folder / "ringback.db")
    await old.make_schema(earlier)
    columns = await old.columns()
    written = await before.rows(columns)
    assert {table for table, rows in written.items() if not rows} <= NOT_WRITTEN
    for table, rows in written.items():
        marks = ", ".join(f"${number}" for number in range(1, len(columns[table]) + 1))
        for row in rows:
            await old.run(f"INSERT INTO {table} ({', '.join(columns[table])}) VALUES ({marks})", *row)
    shutil.copy(tmp_path / "instance.key", folder / "instance.key")

    settings, _ = load_settings({"RINGBACK_DATA_DIR": str(folder), "RINGBACK_DATABASE_URL": old.url})
    location = PostgresLocation(old.url) if old.url else SqliteLocation(old.path)
    assert await current_revision(location) == earlier
    assert await upgrade_in_subprocess(location) is True
    async with open_installation(settings) as installation:
        assert await current_revision(location) == HEAD
        assert await old.rows(columns) == written
        rooms, store = wire(installation), installation.store
        await rooms.authenticator.authenticate(login.header)
        header = parse_signature_header(story.phone.sign("POST", "/pay", b"pay", Unlock(pin="1234")))
        check = SignatureCheck("POST", "/pay", header, b"pay")
        assert (await store.write(rooms.devices.verify_signature, BANK, check)).valid
        shown = await rooms.devices.look(store, rooms.devices.registration_detail, BANK, story.registration_id)
        assert (shown.user_id, shown.registration_status) == ("alice", "ACTIVE")
        found = await store.read(rooms.operations.get, BANK, story.operation_id)
        assert found.status == "PENDING"
        log = await old.run("SELECT count(*) FROM audit_log")
        assert log[0][0] == len(written["audit_log"]) + 1
        await rooms.close()
