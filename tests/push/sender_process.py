"""A process that only sends: `python -m tests.push.sender_process DATABASE APNS_URL CA_FILE KEY_FILE KEY_ID TEAM_ID`.

DATABASE is the path of a SQLite file or a PostgreSQL URL.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

from ringback.clock import SystemClock, SystemRandomness
from ringback.events import Events
from ringback.outbox import Outbox
from ringback.push import PoolSettings, ProviderTokens, PushChannel, PushTokens
from ringback.push.apns import ApnsProvider
from ringback.push.credentials import ApnsTokenKey
from ringback.secrets import Vault
from ringback.store import PostgresStore, SqliteStore, Store
from tests.push.at_providers import BUNDLE, Source

SEED = b"k" * 32


async def open_store(database: str) -> Store:
    """Of either kind."""
    if database.startswith("postgresql://"):
        return await PostgresStore.open(database)
    return await SqliteStore.open(Path(database))


async def main(database: str, url: str, ca_file: str, key_file: str, key_id: str, team_id: str) -> None:
    """Sends until SIGTERM, then drains."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    store = await open_store(database)
    source: dict[str, Any] = {"clock": SystemClock(), "randomness": SystemRandomness()}
    vault = Vault(SEED, SEED, SystemRandomness())
    private_key = Path(key_file).read_text()  # noqa: ASYNC240 - before anything else runs
    credentials = Source(ApnsTokenKey(key_id=key_id, team_id=team_id, bundle_id=BUNDLE, private_key=private_key))
    provider = ApnsProvider(
        urls={"production": url, "development": url},
        credentials=credentials,
        tokens=ProviderTokens(store=store, vault=vault, **source),
        settings=PoolSettings(ca_file=ca_file),
        **source,
    )
    outbox = Outbox(store=store, **source)
    push_tokens = PushTokens(vault=vault, events=Events(), **source)
    PushChannel(push_tokens=push_tokens, providers={"apns": provider}).plug_into(outbox)
    await outbox.run(stop)
    await provider.close()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
