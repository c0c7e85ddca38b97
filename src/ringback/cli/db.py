"""`ringback db`: the database."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

import click
import msgspec

from ringback.settings import Settings, load_settings


@click.group(name="db", help="Upgrade, back up, restore the database.")
def command() -> None:
    """Groups the commands."""


@command.command("upgrade", help="Bring the database to the schema of this version (forward only).")
def upgrade() -> None:
    """Refused while a server runs on SQLite."""
    from ringback.installation import prepare_data_folder
    from ringback.store import SqliteLocation, locate
    from ringback.store.lockfile import DataLock
    from ringback.store.migrate import HEAD, upgrade_in_subprocess

    settings, _ = load_settings()
    prepare_data_folder(settings)
    location = locate(settings.database_url or None, settings.data_folder)
    lock = DataLock(settings.data_folder) if isinstance(location, SqliteLocation) else None
    if lock is not None:
        lock.acquire()
    try:
        changed = asyncio.run(upgrade_in_subprocess(location))
    finally:
        if lock is not None:
            lock.release()
    click.echo(f"The database {'was upgraded to' if changed else 'has'} schema {HEAD}.")


@command.command("backup", help="Write a backup to FILE, also while the server runs. The instance key is not in it.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def backup(file: Path, *, as_json: bool) -> None:
    """One moment of the whole database, of any schema: it is what one makes before an upgrade."""
    from ringback.control import ask_running_server
    from ringback.store import locate
    from ringback.store.backup import backup as write_backup

    settings, _ = load_settings()
    target = file.absolute()
    try:
        written = ask_running_server(settings.control_socket, "backup", {"target": str(target)})
    except ConnectionError:
        write_backup(locate(settings.database_url or None, settings.data_folder), target)
        written = {"file": str(target)}
    if as_json:
        click.echo(msgspec.json.encode(written))
        return
    click.echo(f"The backup is in {written['file']}. The instance key is not in it: keep a copy of the key file apart.")


@command.command("restore", help="Put the backup FILE in the place of the database; the server must be stopped.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore(file: Path, *, yes: bool) -> None:
    """Says what it means that counters go back, before and after, and which instance key is missing."""
    from ringback.clock import SystemClock
    from ringback.installation import missing_instance_key, prepare_data_folder
    from ringback.store import locate
    from ringback.store.backup import COUNTERS_WENT_BACK
    from ringback.store.backup import restore as put_back

    settings, _ = load_settings()
    prepare_data_folder(settings)
    if not yes:
        click.echo(COUNTERS_WENT_BACK)
        click.confirm("Restore?", abort=True)
    location = locate(settings.database_url or None, settings.data_folder)
    click.echo(put_back(location, file.absolute(), settings.data_folder, SystemClock()))
    missing = asyncio.run(missing_instance_key(settings))
    if missing is not None:
        click.echo(_what_to_do_about(missing, settings))


def _what_to_do_about(missing: str, settings: Settings) -> str:
    """The key file may hold several keys, one line each: nobody has to take one away."""
    from ringback.installation import kept_key_file, key_file_of

    key_file = key_file_of(settings)
    needed = f"This backup needs instance key {missing}, which the key file {key_file.path} does not have."
    kept = kept_key_file(key_file, missing).path
    if not kept.exists():
        return f"{needed} Add the line of that key, from your copy, to the key file before you start the server."
    there, here = shlex.quote(str(kept)), shlex.quote(str(key_file.path))
    command = f"cat {there} >> {here}" if key_file.path.exists() else f"cp -p {there} {here}"
    return f"{needed} It was kept when the key was rotated. Before you start the server:\n  {command}"
