"""`ringback db`: the database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec

from ringback.cli.installation import run_command
from ringback.settings import load_settings


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
    """One moment of the whole database."""
    written = run_command("backup", target=str(file.absolute()))
    if as_json:
        click.echo(msgspec.json.encode(written))
        return
    click.echo(f"The backup is in {written['file']}. The instance key is not in it: keep a copy of the key file apart.")


@command.command("restore", help="Put the backup FILE in the place of the database; the server must be stopped.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore(file: Path, *, yes: bool) -> None:
    """Says what it means that counters go back, before and after."""
    from ringback.clock import SystemClock
    from ringback.installation import prepare_data_folder
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
