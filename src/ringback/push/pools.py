"""The connections to a provider: a pool of the HTTP/2 engine for each push credential and environment.

No credential shares connections with another: APNs ties a connection to a team, and one app that is slow or refused
must not hold up the others. A pool goes when its credential was replaced, after what is under way on it, or when
nobody has pushed for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ringback.errors import StartRefused
from ringback.http2 import Answer, Backend, Indexing, Pool, PoolLimits, Request

IDLE_SECONDS = 3_600
REQUEST_SECONDS = 10
GRACE_SECONDS = 30
_HTTPS = 443


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach providers. `ca_file`: certificates that they are trusted by, beside the system's; empty = none."""

    ca_file: str = ""
    proxy: str = ""
    backend: Backend = "ngh2"
    limits: PoolLimits = PoolLimits()
    idle_seconds: float = IDLE_SECONDS
    request_seconds: float = REQUEST_SECONDS
    grace_seconds: float = GRACE_SECONDS


class Owner(msgspec.Struct, frozen=True):
    """Whose connections: those of a credential, in one environment of the provider."""

    app_id: str
    credential_id: str
    environment: str = ""

    @property
    def slot(self) -> tuple[str, str]:
        """What has one credential at a time."""
        return self.app_id, self.environment


class Place(msgspec.Struct, frozen=True):
    """A URL of a provider, taken apart. `path` comes before the paths of the provider's API."""

    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Place:
        """`https://host[:port][/path]`. Raises ValueError for a port that is none."""
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or _HTTPS, parts.path.rstrip("/"))


class Connections:
    """A pool, and how many requests are on it."""

    def __init__(self, pool: Pool, request_seconds: float) -> None:
        self.pool = pool
        self.used_at = 0.0
        self._request_seconds = request_seconds
        self._under_way = 0
        self._none = asyncio.Event()
        self._none.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self._under_way == 0

    async def send(self, request: Request, *, urgent: bool = False, most_seconds: float | None = None) -> Answer:
        """The answer, whatever its status. Raises NotSent and OutcomeUnknown."""
        seconds = self._request_seconds if most_seconds is None else min(self._request_seconds, most_seconds)
        self._under_way += 1
        self._none.clear()
        try:
            return await self.pool.send(request, timeout_seconds=seconds, urgent=urgent)
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._none.set()

    async def retire(self) -> None:
        """Closes the pool when nothing is under way any more; nobody sends on it from now on."""
        try:
            await self._none.wait()
        finally:
            await self.pool.close()


class Pools:
    """The pools of one provider. A slot (app, environment) has one at a time, that of its credential."""

    def __init__(
        self, settings: PoolSettings, *, indexing: Indexing | None, ping: bool, first_limit_is_one: bool
    ) -> None:
        self._settings = settings
        self._indexing = indexing
        self._ping = ping
        self._first_limit_is_one = first_limit_is_one
        self._open: dict[Owner, Connections] = {}
        self._current: dict[tuple[str, str], Owner] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._sweep: asyncio.TimerHandle | None = None
        # How a provider is known: the same context for all credentials without a client certificate. Made now, since
        # reading the system's certificates would hold up everybody for 30 ms in the middle of the first call.
        self.tls = provider_tls(settings.ca_file)

    def get(
        self, owner: Owner, place: Place, tls: Callable[[], ssl.SSLContext] | None = None, *, one_at_first: bool = True
    ) -> Connections:
        """The connections of a credential. When it is a new one, those of the one before it go after a while.

        `tls`: where the credential brings a context of its own.
        """
        loop = asyncio.get_running_loop()
        found = self._open.get(owner)
        if found is None:
            context = self.tls if tls is None else tls()
            found = self._open[owner] = self.connections(place, context, one_at_first=one_at_first)
            before = self._current.get(owner.slot)
            self._current[owner.slot] = owner
            if before is not None:
                # Somebody may have read the old credential a moment ago, and be about to use it.
                self._later(self._settings.grace_seconds, lambda: self._retire(before))
            if self._sweep is None:
                self._sweep = loop.call_later(self._settings.idle_seconds, self._close_idle)
        found.used_at = loop.time()
        return found

    def connections(self, place: Place, tls: ssl.SSLContext, *, one_at_first: bool = False) -> Connections:
        """A pool for a place, which is nobody's."""
        pool = Pool(
            host=place.host,
            port=place.port,
            tls=tls,
            backend=self._settings.backend,
            limits=self._settings.limits,
            indexing=self._indexing,
            first_limit_is_one=self._first_limit_is_one and one_at_first,
            proxy=self._settings.proxy or None,
            ping=self._ping,
        )
        return Connections(pool, self._settings.request_seconds)

    def tls_with(self, certificate_pem: str, private_key_pem: str) -> ssl.SSLContext:
        """A context with a client certificate. Raises ssl.SSLError when the two do not fit."""
        context = provider_tls(self._settings.ca_file)
        load_certificate(context, certificate_pem, private_key_pem)
        return context

    @property
    def count(self) -> int:
        """How many pools are open, those that are going not counted."""
        return len(self._open)

    async def close(self) -> None:
        """Closes them all, those too that were going already."""
        for timer in (*self._timers, *filter(None, [self._sweep])):
            timer.cancel()
        self._timers.clear()
        self._sweep = None
        closing = [connections.pool.close() for connections in self._open.values()]
        self._open.clear()
        self._current.clear()
        await asyncio.gather(*closing)
        for task in self._retiring:
            task.cancel()
        if self._retiring:
            await asyncio.wait(self._retiring)

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            do()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    def _retire(self, owner: Owner) -> None:
        connections = self._open.pop(owner, None)
        if self._current.get(owner.slot) == owner:
            del self._current[owner.slot]
        if connections is not None:
            task = asyncio.create_task(connections.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        unused_since = loop.time() - self._settings.idle_seconds
        for owner, connections in list(self._open.items()):
            if connections.idle and connections.used_at <= unused_since:
                self._retire(owner)
        self._sweep = loop.call_later(self._settings.idle_seconds, self._close_idle) if self._open else None


def provider_tls(ca_file: str) -> ssl.SSLContext:
    """TLS 1.2 or newer, the system's authorities and those of `ca_file`. Raises StartRefused when it has none."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise StartRefused(
                f"RINGBACK_PUSH_CA_FILE: {ca_file} has no certificates: {error}.", cause=error
            ) from error
    return context


def load_certificate(context: ssl.SSLContext, certificate_pem: str, private_key_pem: str) -> None:
    """Gives a context a client certificate. `ssl` reads files only, so it gets one that is in memory, without a name.

    Raises ssl.SSLError when key and certificate do not fit.
    """
    descriptor = os.memfd_create("ringback")
    try:
        os.fchmod(descriptor, 0o600)
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(private_key_pem.strip() + "\n" + certificate_pem.strip() + "\n")
        context.load_cert_chain(Path("/proc/self/fd") / str(descriptor))
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
