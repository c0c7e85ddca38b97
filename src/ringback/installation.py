"""One installation: its settings, its database, its keys. What `serve` and the command line both open."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ringback.clock import Clock, Randomness, SystemClock, SystemRandomness
from ringback.errors import StartRefused
from ringback.secrets import (
    FINGERPRINT_PURPOSE,
    KEY_BYTES,
    PURPOSES,
    SEAL_PURPOSE,
    InstanceKey,
    KeyFile,
    SealedDataKey,
    Vault,
    new_instance_key,
    open_data_keys,
    seal_data_keys,
)
from ringback.settings import Settings
from ringback.store import Command, Query, SqliteLocation, Store, Tx, columns, locate, open_store
from ringback.store.lockfile import DataLock
from ringback.store.migrate import HEAD, current_revision, refuse_newer, upgrade_in_subprocess

FIRST_KEYS_PAUSE_SECONDS = 0.05

all_data_keys = Query(
    "all_data_keys",
    "The sealed data keys.",
    f"SELECT {columns(SealedDataKey)} FROM data_keys ORDER BY purpose",  # noqa: S608 - our own columns
    row=SealedDataKey,
)
insert_data_key = Command(
    "insert_data_key",
    "A first data key; the process that was first wins.",
    "INSERT INTO data_keys (purpose, sealed_key, instance_key_id, updated_at) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT DO NOTHING",
)
reseal_data_key = Command(
    "reseal_data_key",
    "A data key sealed by another instance key.",
    "UPDATE data_keys SET sealed_key = $2, instance_key_id = $3, updated_at = $4 WHERE purpose = $1",
    expect_one=True,
)


@dataclass(frozen=True)
class Installation:
    """An open installation."""

    settings: Settings
    store: Store
    vault: Vault
    clock: Clock
    randomness: Randomness


def prepare_data_folder(settings: Settings) -> None:
    """Makes the data folder (mode 0700). Raises StartRefused when it cannot be written."""
    folder = settings.data_folder
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):  # without a name: several processes may start at once
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise StartRefused(f"The data folder {folder} cannot be written: {reason}.", cause=error) from error


async def prepare_database(settings: Settings) -> bool:
    """Makes the schema of an empty database; True when it did.

    Raises StartRefused when an older one waits for `ringback db upgrade`, and when a newer one needs a newer program.
    """
    location = locate(settings.database_url or None, settings.data_folder)
    revision = await current_revision(location)
    refuse_newer(revision)
    if revision == HEAD:
        return False
    if revision is not None:
        raise StartRefused(
            f"The database has schema {revision} and this version needs {HEAD}. Make a backup, then run:"
            " ringback db upgrade",
        )
    return await upgrade_in_subprocess(location)


@contextlib.asynccontextmanager
async def open_installation(
    settings: Settings, *, lock: bool = True, clock: Clock | None = None, max_group_seconds: float = 0.005
) -> AsyncIterator[Installation]:
    """Opens everything, with the lock of the data folder where SQLite needs it, and closes it at the end.

    `lock=False`: for a process whose parent holds the lock or that shares PostgreSQL. Raises StartRefused.
    """
    prepare_data_folder(settings)
    sqlite = isinstance(locate(settings.database_url or None, settings.data_folder), SqliteLocation)
    with DataLock(settings.data_folder) if lock and sqlite else contextlib.nullcontext():
        await prepare_database(settings)
        store = await open_store(
            database_url=settings.database_url or None,
            data_dir=settings.data_folder,
            max_group_seconds=max_group_seconds,
            pool_size=settings.postgres_connections,
        )
        clock, randomness = clock or SystemClock(), SystemRandomness()
        try:
            vault = await open_vault(store, KeyFile(settings.key_path), clock, randomness)
            yield Installation(settings, store, vault, clock, randomness)
        finally:
            await store.close()


async def open_vault(store: Store, key_file: KeyFile, clock: Clock, randomness: Randomness) -> Vault:
    """The vault of this database; makes the keys of a new one. Raises StartRefused when the key file does not fit."""
    sealed = await store.read(_read_data_keys)
    while not sealed:
        try:
            with key_file.locked():
                await _make_first_keys(store, key_file, clock, randomness)
        except BlockingIOError:
            await asyncio.sleep(FIRST_KEYS_PAUSE_SECONDS)  # another process makes them just now
        except OSError as error:
            raise StartRefused(f"The key file {key_file.path} cannot be written: {error}.", cause=error) from error
        sealed = await store.read(_read_data_keys)
    opened = open_data_keys(sealed, key_file.load())
    return Vault(opened[SEAL_PURPOSE], opened[FINGERPRINT_PURPOSE], randomness)


async def rotate_instance_key(
    store: Store, key_file: KeyFile, clock: Clock, randomness: Randomness
) -> tuple[str, list[Path]]:
    """Makes a new instance key and seals the data keys with it; returns its id, and where the old keys are kept.

    Backups made before need the old key, so it is kept aside first. The key file holds both keys until the database is
    committed, so that a crash at any moment leaves a pair that fits. Raises StartRefused when a file cannot be written.
    """
    try:
        with key_file.locked():
            return await _rotate(store, key_file, clock, randomness)
    except BlockingIOError as error:
        raise StartRefused("The instance key was not rotated: somebody else changes the key file just now.") from error
    except OSError as error:
        raise StartRefused(f"The instance key was not rotated: {error}.", cause=error) from error


async def _rotate(store: Store, key_file: KeyFile, clock: Clock, randomness: Randomness) -> tuple[str, list[Path]]:
    old_keys = key_file.load()
    data_keys = open_data_keys(await store.read(_read_data_keys), old_keys)
    new_key = new_instance_key(randomness)
    kept = [kept_key_file(key_file, old.id) for old in old_keys]
    for file, old in zip(kept, old_keys, strict=True):
        file.save([old])
    key_file.save([new_key, *old_keys])
    await store.write(_reseal_data_keys, seal_data_keys(data_keys, new_key, randomness), clock.now_ms())
    key_file.save([new_key])
    return new_key.id, [file.path for file in kept]


def kept_key_file(key_file: KeyFile, key_id: str) -> KeyFile:
    """Where an old instance key is kept, beside the key file."""
    return KeyFile(key_file.path.with_name(f"{key_file.path.name}.{key_id}"))


async def missing_instance_key(settings: Settings) -> str | None:
    """The id of the instance key that the database needs and the key file does not have. Raises StartRefused."""
    store = await open_store(database_url=settings.database_url or None, data_dir=settings.data_folder, pool_size=2)
    try:
        sealed = await store.read(_read_data_keys)
    finally:
        await store.close()
    present = {key.id for key in key_file_of(settings).load()}
    return next((key.instance_key_id for key in sealed if key.instance_key_id not in present), None)


def key_file_of(settings: Settings) -> KeyFile:
    """The key file that the settings name."""
    return KeyFile(Path(settings.key_path))


async def _make_first_keys(store: Store, key_file: KeyFile, clock: Clock, randomness: Randomness) -> None:
    if await store.read(_read_data_keys):
        return
    instance_key = _first_instance_key(key_file, randomness)
    data_keys = {purpose: randomness.bytes(KEY_BYTES) for purpose in PURPOSES}
    await store.write(_write_data_keys, seal_data_keys(data_keys, instance_key, randomness), clock.now_ms())


def _first_instance_key(key_file: KeyFile, randomness: Randomness) -> InstanceKey:
    keys = key_file.load()
    if keys:
        return keys[0]
    instance_key = new_instance_key(randomness)
    key_file.save([instance_key])
    return instance_key


async def _read_data_keys(tx: Tx) -> list[SealedDataKey]:
    return await tx.all(all_data_keys)


async def _write_data_keys(tx: Tx, sealed: list[SealedDataKey], now_ms: int) -> None:
    for key in sealed:
        await tx.run(insert_data_key, key.purpose, key.sealed_key, key.instance_key_id, now_ms)


async def _reseal_data_keys(tx: Tx, sealed: list[SealedDataKey], now_ms: int) -> None:
    for key in sealed:
        await tx.run(reseal_data_key, key.purpose, key.sealed_key, key.instance_key_id, now_ms)
