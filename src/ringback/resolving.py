"""The addresses of names that somebody else chose: whoever runs a slow name server holds up only himself.

The system's resolver keeps a thread busy until it has an answer, which for a dead name server takes many seconds, and
cannot be told to stop. So every owner of requests has few of the threads, some are kept for owners that have none, and
urgent lookups have threads of their own.
What was found is remembered for a minute, and longer where a name server fails. That opens nothing: whoever connects
checks the address that it connects to, each time (`ringback.egress`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

THREADS = 32
"""Lookups at a time of all owners: so many that are urgent, and as many that are not."""
PLACES_OF_AN_OWNER = 4
"""Lookups at a time of one owner, of each sort."""
KEPT = THREADS // 2
"""Threads of each sort that only owners without one get: so a few with slow names cannot hold up another."""
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


class _Threads:
    """The threads of one sort of lookups, and who has them."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(THREADS, thread_name_prefix="names")
        self._free = THREADS
        self._taken: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    async def take(self, owner: str) -> None:
        """Waits until the owner may have one more."""
        if self._may_take(owner):
            self._give(owner)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((owner, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove((owner, turn))
            else:  # it was given in the same moment
                self.give_back(owner)
            raise

    def give_back(self, owner: str) -> None:
        """One of the owner's is free again: it goes to the first who waits and may have it."""
        self._free += 1
        self._taken[owner] -= 1
        if not self._taken[owner]:
            del self._taken[owner]
        for waiting in list(self._waiting):
            next_owner, turn = waiting
            if not turn.done() and self._may_take(next_owner):
                self._waiting.remove(waiting)
                self._give(next_owner)
                turn.set_result(None)

    def _give(self, owner: str) -> None:
        self._free -= 1
        self._taken[owner] += 1

    def _may_take(self, owner: str) -> bool:
        taken = self._taken[owner]
        return taken < PLACES_OF_AN_OWNER and self._free > (KEPT if taken else 0)


class SystemResolver:
    """The system's resolver in threads, fairly shared. `ask` and `now` are `socket.getaddrinfo` and a steady clock."""

    def __init__(
        self, *, ask: Callable[..., Any] = socket.getaddrinfo, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._now = now
        self._threads = {urgent: _Threads() for urgent in (False, True)}
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
            threads.executor.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, owner: str, *, urgent: bool) -> Sequence[str]:
        """Asks, unless the answer is known, or on its way, by the time that the owner has a thread."""
        if not self._is_answered(host, urgent=urgent):
            owner = owner or host  # where nobody says whose it is: there is never more than one lookup of a name
            await self._threads[urgent].take(owner)
            if self._is_answered(host, urgent=urgent):
                self._threads[urgent].give_back(owner)
            else:
                self._begin(host, owner, urgent=urgent)
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

    def _begin(self, host: str, owner: str, *, urgent: bool) -> None:
        """Starts a lookup, which keeps its thread until that is free again, whoever still waits for it."""
        began = self._now()
        threads = self._threads[urgent]
        running = asyncio.get_running_loop().run_in_executor(threads.executor, self._found, host)
        self._running[host, urgent] = running

        def over(_: object) -> None:
            threads.give_back(owner)
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
