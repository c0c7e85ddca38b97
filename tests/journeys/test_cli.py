"""The command line on an installation that runs and on one that does not."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from tests.journeys.conftest import NewServer
from tests.journeys.phones import Bank, sign
from tests.journeys.processes import refused
from tests.peers.server import ServerProcess, basic


def test_users_are_created_while_the_server_is_stopped_and_while_it_runs(server: ServerProcess) -> None:
    early = server.cli("admin", "create-user", "early", "--role", "admin")
    words = dict(line.split(maxsplit=1) for line in early.stdout.replace("user name", "name").splitlines())
    assert (words["name"], words["role"]) == ("early", "admin")
    assert early.stderr == "Keep the password now: it is not shown again.\n"
    server.start()
    late = json.loads(server.cli("admin", "create-user", "late", "--role", "admin", "--json").stdout)
    assert set(late) == {"username", "role", "password"}
    for name, password in (("early", words["password"]), ("late", late["password"])):
        app = server.call("POST", "/powerauth-cloud/admin/applications", {"id": f"app-{name}"}, basic(name, password))
        assert app["id"] == f"app-{name}"
    taken = "A system user with this name is there already."
    assert taken in refused(server, "admin", "create-user", "late", "--role", "admin")
    assert "A user name has 1 to 255 characters" in refused(server, "admin", "create-user", "a:b", "--role", "admin")
    assert server.cli("admin", "create-user", "x", "--role", "king", check=False).returncode == 2
    assert server.stop() == 0
    assert taken in refused(server, "admin", "create-user", "early", "--role", "admin")


def test_files_are_for_their_owner_only(sqlite_server: ServerProcess) -> None:
    sqlite_server.start()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sqlite_server.folder.iterdir()}
    assert modes["control.sock"] == 0o600
    assert modes["instance.key"] == 0o600
    assert modes["ringback.lock"] == 0o600
    assert sqlite_server.stop() == 0
    assert not (sqlite_server.folder / "control.sock").exists()
    assert sqlite_server.folder.stat().st_mode & 0o077 == 0


def test_a_data_folder_of_any_depth_has_a_control_socket(tmp_path: Path) -> None:
    deep = ServerProcess(tmp_path / "/".join(["a-folder-with-a-long-name"] * 8) / "data")
    deep.folder.parent.mkdir(parents=True)
    deep.start()
    made = json.loads(deep.cli("admin", "create-user", "root", "--role", "admin", "--json").stdout)
    assert made["username"] == "root"
    assert deep.stop() == 0
    assert not (deep.folder / "control.sock").exists()


def test_a_fresh_installation_is_for_its_owner_only(new_server: NewServer) -> None:
    server = new_server(fresh=True)
    server.cli("db", "upgrade")
    server.cli("admin", "create-user", "root", "--role", "admin")
    assert server.folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in server.folder.iterdir()} == {
        "ringback.db": 0o600,
        "instance.key": 0o600,
        "ringback.lock": 0o600,
    }


async def test_a_backup_of_a_running_server_is_restored(server: ServerProcess, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    server.start()
    furnished = server.furnish()
    async with Bank.of(server, furnished) as bank:
        phone = await bank.enrol("before")
        made = await asyncio.to_thread(server.cli, "db", "backup", str(target))
        assert "The instance key is not in it" in made.stdout
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        key = (server.folder / "instance.key").read_text().split()[1]
        content = target.read_bytes()
        assert bytes.fromhex(key) not in content
        assert key.encode() not in content
        assert "exists already" in refused(server, "db", "backup", str(target))

        phone, recorded = sign(phone)
        assert (await bank.verify(recorded)).body["signatureValid"] is True
        late = await bank.enrol("after")
        assert "in use by" in refused(server, "db", "restore", "--yes", str(target))
        assert (await bank.registration(late.activation_id)).status == 200

        assert await asyncio.to_thread(server.stop) == 0
        restored = await asyncio.to_thread(server.cli, "db", "restore", "--yes", str(target))
        assert "The database from before is kept in" in restored.stdout
        assert "Phones that were activated since are unknown here" in restored.stdout
        assert "would be accepted a second time" in restored.stdout

        await asyncio.to_thread(server.start)
        gone = await bank.registration(late.activation_id)
        assert (gone.status, gone.body["responseObject"]["code"]) == (400, "ERROR_REGISTRATION_NOT_FOUND")
        # As the text says: what was signed since the backup counts once more, and then the phone goes on.
        assert (await bank.verify(recorded)).body["signatureValid"] is True
        assert (await bank.verify(recorded)).body["signatureValid"] is False
        assert (await bank.verify(sign(phone)[1])).body["signatureValid"] is True


def test_without_yes_a_restore_asks(sqlite_server: ServerProcess, tmp_path: Path) -> None:
    sqlite_server.cli("db", "backup", str(tmp_path / "backup"))
    before = (sqlite_server.folder / "ringback.db").read_bytes()
    asked = sqlite_server.cli("db", "restore", str(tmp_path / "backup"), check=False)
    assert asked.returncode == 1
    assert "The database is as it was when the backup was made" in asked.stdout
    assert (sqlite_server.folder / "ringback.db").read_bytes() == before
    assert "There is no backup file" in refused(sqlite_server, "db", "restore", "--yes", str(tmp_path / "nothing"))


async def test_the_instance_key_is_rotated(sqlite_server: ServerProcess, tmp_path: Path) -> None:
    server = sqlite_server
    key_file = server.folder / "instance.key"
    target = tmp_path / "backup"
    server.start()
    furnished = server.furnish()
    async with Bank.of(server, furnished) as bank:
        phone = await bank.enrol("kept")
        old = key_file.read_text()
        await asyncio.to_thread(server.cli, "db", "backup", str(target))

        said = json.loads((await asyncio.to_thread(server.cli, "keys", "rotate", "--json")).stdout)
        kept = server.folder / f"instance.key.{old.split()[0]}"
        assert said == {
            "instance_key": key_file.read_text().split()[0],
            "key_file": str(key_file),
            "kept": [str(kept)],
        }
        assert kept.read_text() == old
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert key_file.read_text() != old
        phone, header = sign(phone)
        assert (await bank.verify(header)).body["signatureValid"] is True

        assert await asyncio.to_thread(server.stop) == 0
        running = key_file.read_text()
        assert len(running.splitlines()) == 1
        told = await asyncio.to_thread(server.cli, "keys", "rotate")
        assert "Copy the key file" in told.stdout
        assert f"The key from before is kept in {key_file}.{running.split()[0]}." in told.stdout
        assert "Backups made before this open only with the key from before" in told.stdout
        assert key_file.read_text() != running
        await asyncio.to_thread(server.start)
        phone, header = sign(phone)
        assert (await bank.verify(header)).body["signatureValid"] is True

        assert await asyncio.to_thread(server.stop) == 0
        newest = key_file.read_text()
        restored = await asyncio.to_thread(server.cli, "db", "restore", "--yes", str(target))
        assert "the key file must be the one that belonged to this database" in restored.stdout
        line = refused(server)
        assert f"sealed with instance key {old.split()[0]}, which the key file does not have" in line
        assert key_file.read_text() == newest
        assert f"This backup needs instance key {old.split()[0]}" in restored.stdout
        await asyncio.to_thread(subprocess.run, ["bash", "-c", restored.stdout.splitlines()[-1]], check=True)
        assert key_file.read_text() == newest + old
        await asyncio.to_thread(server.start)
        assert (await bank.verify(sign(phone)[1])).body["signatureValid"] is True


def test_a_restore_says_which_key_is_missing(server: ServerProcess, tmp_path: Path) -> None:
    server.cli("admin", "create-user", "root", "--role", "admin")
    server.cli("db", "backup", str(tmp_path / "backup"))
    fits = server.cli("db", "restore", "--yes", str(tmp_path / "backup"))
    assert "This backup needs" not in fits.stdout
    key_file = server.folder / "instance.key"
    copy = key_file.rename(tmp_path / "copy.key")
    told = server.cli("db", "restore", "--yes", str(tmp_path / "backup"))
    key_id = copy.read_text().split()[0]
    assert f"This backup needs instance key {key_id}, which the key file {key_file} does not have." in told.stdout


def test_a_database_of_a_newer_version(sqlite_server: ServerProcess, tmp_path: Path) -> None:
    database = apsw.Connection(str(sqlite_server.folder / "ringback.db"))
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for command in (("serve",), ("db", "upgrade"), ("keys", "rotate")):
        line = refused(sqlite_server, *command)
        assert "schema 9999, which this version does not know" in line
        assert "Run the newer one" in line
    # Whatever the schema is, a backup can be made of it: that comes before an upgrade.
    sqlite_server.cli("db", "backup", str(tmp_path / "backup"))
    assert (tmp_path / "backup").exists()


def test_upgrading_is_refused_while_a_server_runs(sqlite_server: ServerProcess) -> None:
    assert "The database has schema" in sqlite_server.cli("db", "upgrade").stdout
    sqlite_server.start()
    assert "is in use by another ringback process" in refused(sqlite_server, "db", "upgrade")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['ringback', '--help']\n"
        "from ringback.cli import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "heavy = {'litestar', 'sqlalchemy', 'alembic', 'uvicorn', 'aiohttp', 'asyncpg', 'apsw', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stderr == "[]\n"
    assert "serve" in done.stdout


def test_settings_are_shown_with_their_source(new_server: NewServer, tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text('max_failed_attempts = 7\nlog_level = "debug"\n')
    server = new_server("postgresql://bank:hush@db/bank", config=str(file), log_level="error")
    shown = {one["name"]: one for one in json.loads(server.cli("config", "show", "--json").stdout)}
    assert (shown["max_failed_attempts"]["value"], shown["max_failed_attempts"]["source"]) == (7, str(file))
    assert (shown["log_level"]["value"], shown["log_level"]["source"]) == ("error", "RINGBACK_LOG_LEVEL")
    assert (shown["signature_look_ahead"]["value"], shown["signature_look_ahead"]["source"]) == (20, "built in")
    assert shown["database_url"]["value"] == "postgresql://bank:***@db/bank"
    assert all(one["meaning"] for one in shown.values())
    assert "hush" not in server.cli("config", "show").stdout
    checked = server.cli("config", "check")
    assert (checked.stdout, checked.stderr) == ("The settings can be used.\n", "")
    assert "push_credentials_cache_seconds" in server.cli("config", "show").stdout


def test_a_variable_that_is_mistyped_is_told(new_server: NewServer) -> None:
    checked = new_server(push_proxi="http://proxy:3128").cli("config", "check")
    assert checked.stderr.startswith("RINGBACK_PUSH_PROXI is no setting")
    assert checked.stdout == "The settings can be used.\n"


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("max_failed_attempts", "many", "RINGBACK_MAX_FAILED_ATTEMPTS: max_failed_attempts: Expected `int`"),
        ("max_failed_attempts", "0", "RINGBACK_MAX_FAILED_ATTEMPTS: max_failed_attempts: Expected `int` >= 1"),
        ("log_level", "loud", "RINGBACK_LOG_LEVEL: log_level: Expected `str` matching"),
        ("public_listen", "8080", "RINGBACK_PUBLIC_LISTEN must be HOST:PORT"),
        ("internal_listen", "localhost:99999", "RINGBACK_INTERNAL_LISTEN must be HOST:PORT"),
        ("public_listen", "::1:8080", "RINGBACK_PUBLIC_LISTEN must be HOST:PORT"),
        ("public_listen", "[::1:8080", "RINGBACK_PUBLIC_LISTEN must be HOST:PORT"),
        ("public_listen", "127.0.0.1:²", "RINGBACK_PUBLIC_LISTEN must be HOST:PORT"),
        ("sip_listen", "fd00::1:5060", "RINGBACK_SIP_LISTEN must be HOST:PORT"),
        ("database_url", "mysql://db", "RINGBACK_DATABASE_URL must start with postgresql://"),
        ("tls_certificate", "cert.pem", "RINGBACK_TLS_CERTIFICATE and RINGBACK_TLS_KEY go together"),
        ("trusted_proxies", "10.0.0.1/8", "RINGBACK_TRUSTED_PROXIES: '10.0.0.1/8' is not an address or network"),
        ("public_url", "phones.example.com", "RINGBACK_PUBLIC_URL must be a URL such as https://phones.example.com"),
        ("public_url", "https://phones.example.com/?q", "RINGBACK_PUBLIC_URL must be a URL"),
        ("public_url", "https://phones.example.com:port", "RINGBACK_PUBLIC_URL must be a URL"),
        ("config", "/nowhere/ringback.toml", "The configuration file /nowhere/ringback.toml cannot be read"),
    ],
)
def test_a_setting_that_cannot_be_used(new_server: NewServer, name: str, value: str, complaint: str) -> None:
    server = new_server(fresh=True, **{name: value})
    assert complaint in refused(server, "config", "check")
    assert not server.folder.exists()


def test_a_certificate_that_is_not_there(new_server: NewServer, tmp_path: Path) -> None:
    server = new_server(fresh=True, tls_certificate=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"))
    line = refused(server, "config", "check")
    assert "RINGBACK_TLS_CERTIFICATE and RINGBACK_TLS_KEY cannot be used: " in line
    assert str(tmp_path / "cert.pem") in line


def test_a_misspelt_setting_is_named(new_server: NewServer, tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text("max_failed_atempts = 7\n")
    server = new_server(config=str(file))
    assert "a setting that does not exist: max_failed_atempts" in refused(server, "config", "check")
    file.write_text("this is no TOML")
    assert "cannot be read" in refused(server, "config", "check")


def test_a_backup_has_no_secret_in_the_clear(sqlite_server: ServerProcess, tmp_path: Path) -> None:
    made = json.loads(sqlite_server.cli("admin", "create-user", "root", "--role", "admin", "--json").stdout)
    sqlite_server.cli("db", "backup", str(tmp_path / "backup"))
    assert made["password"].encode() not in (tmp_path / "backup").read_bytes()
    database = apsw.Connection(str(tmp_path / "backup"), flags=apsw.SQLITE_OPEN_READONLY)
    assert database.execute("SELECT count(*) FROM system_users").fetchone() == (1,)
    database.close()
