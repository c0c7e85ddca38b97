"""The addresses of names that somebody else chose: whoever runs a slow name server holds up only himself.

The system's resolver keeps a thread busy until it has an answer, which for a dead name server takes many seconds, and
cannot be told to stop. So every owner of requests has few of the threads, and urgent lookups have threads of their own.
What was found is remembered for a minute, and longer where a name server fails. That opens nothing: whoever connects
checks the address that it connects to, each time (`ringback.egress`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

THREADS = 32
"""Lookups at a time of all owners: so many that are urgent, and as many that are not."""
PLACES_OF_AN_OWNER = 4
"""Lookups at a time of one owner, of each sort."""
FRESH_SECONDS = 60.0
USABLE_SECONDS = 3_600.0
PATIENCE_SECONDS = 1.0
"""How long a lookup may take for a name whose old addresses are still usable; then those are used."""
NAMES = 1_000


class Resolver(Protocol):
    """Who knows the addresses of a name."""

    async def addresses(self, host: str, *, owner: str = "", urgent: bool = False) -> Sequence[str]:
        """Every address. Raises OSError, and ValueError for what cannot be a name."""
        ...

    def close(self) -> None:
        """Lets go of what it holds."""
        ...


@dataclass
class _Known:
    """What is remembered of a name: its addresses, if it ever had some, and why the last lookup failed, if it did."""

    ask_again_at: float
    addresses: Sequence[str] = ()
    found_at: float = 0.0
    failure: BaseException | None = None


class SystemResolver:
    """The system's resolver in threads, fairly shared. `ask` and `now` are `socket.getaddrinfo` and a steady clock."""

    def __init__(
        self, *, ask: Callable[..., Any] = socket.getaddrinfo, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._now = now
        self._threads = {urgent: ThreadPoolExecutor(THREADS, thread_name_prefix="names") for urgent in (False, True)}
        self._places: dict[tuple[str, bool], asyncio.Semaphore] = {}
        self._running: dict[tuple[str, bool], asyncio.Future[Sequence[str]]] = {}
        self._known: dict[str, _Known] = {}

    async def addresses(self, host: str, *, owner: str = "", urgent: bool = False) -> Sequence[str]:
        """Every address of the name. `owner`: whose request it is."""
        if _is_address(host):
            return (host,)
        known = self._known.get(host)
        if known is None or not self._is_usable(known):
            return await self._look_up(host, owner, urgent=urgent)
        if self._is_fresh(known):
            return known.addresses
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._look_up(host, owner, urgent=urgent)
        except OSError:  # TimeoutError is one
            return known.addresses

    def close(self) -> None:
        """Lets go of the threads; a question that is still open ends by itself."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, owner: str, *, urgent: bool) -> Sequence[str]:
        """Asks, unless the answer is known, or on its way, by the time that the owner has a place."""
        if not self._is_answered(host, urgent=urgent):
            places = self._places_of(owner, urgent=urgent)
            await places.acquire()
            if self._is_answered(host, urgent=urgent):
                places.release()
            else:
                self._begin(host, places, urgent=urgent)
        if (host, urgent) in self._running:
            return await asyncio.shield(self._running[host, urgent])  # whoever waits may be gone before the answer
        known = self._known[host]
        if known.failure is not None:
            raise known.failure.with_traceback(None)
        return known.addresses

    def _is_answered(self, host: str, *, urgent: bool) -> bool:
        known = self._known.get(host)
        return (host, urgent) in self._running or (known is not None and self._is_fresh(known))

    def _is_fresh(self, known: _Known) -> bool:
        return self._now() < known.ask_again_at

    def _is_usable(self, known: _Known) -> bool:
        return bool(known.addresses) and self._now() < known.found_at + USABLE_SECONDS

    def _places_of(self, owner: str, *, urgent: bool) -> asyncio.Semaphore:
        if not owner:  # a name of which nobody says whose it is: there is never more than one lookup of it
            return asyncio.Semaphore()
        return self._places.setdefault((owner, urgent), asyncio.Semaphore(PLACES_OF_AN_OWNER))

    def _begin(self, host: str, places: asyncio.Semaphore, *, urgent: bool) -> None:
        """Starts a lookup, which keeps its place until the thread is free again, whoever still waits for it."""
        began = self._now()
        running = asyncio.get_running_loop().run_in_executor(self._threads[urgent], self._found, host)
        self._running[host, urgent] = running

        def over(_: object) -> None:
            places.release()
            del self._running[host, urgent]
            if not running.cancelled():
                self._remember(host, running, took=self._now() - began)

        running.add_done_callback(over)

    def _found(self, host: str) -> Sequence[str]:
        """Runs in a thread."""
        found = self._ask(host, None, socket.AF_UNSPEC, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        return tuple(str(address[0]) for *_, address in found)

    def _remember(self, host: str, done: asyncio.Future[Sequence[str]], *, took: float) -> None:
        now = self._now()
        failure = done.exception()
        old = self._known.pop(host, None)
        if failure is None:
            known = _Known(now + FRESH_SECONDS, done.result(), now)
        else:
            # Left alone for as long as it took: what fails at once costs nothing, and may be well again at once.
            known = old or _Known(now)
            known.failure, known.ask_again_at = failure, now + took
        if len(self._known) >= NAMES:
            del self._known[next(iter(self._known))]  # the one that was asked for longest ago
        self._known[host] = known


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
