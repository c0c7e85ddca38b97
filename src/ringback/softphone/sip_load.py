"""Thousands of SIP phones and their callers in one process, on two UDP sockets: they sleep, are woken, and answer.

A bench gives `SipLoad.wake` to whatever stands in for the push providers: a push to a phone makes it register, and
the call that was held goes through to it.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Self

from ringback.softphone.sip_load_callers import LoadCallers
from ringback.softphone.sip_load_phones import LoadPhones
from ringback.softphone.sip_load_result import SipLoadResult, SipLoadTally
from ringback.softphone.sip_load_socket import Address

_BREATHES_AFTER = 50


class SipLoad:
    """Phones and callers of one domain; `async with` opens and closes their sockets.

    `server`: where phones register and callers send their INVITEs. `password`: of a username, of the phones and of the
    caller. `wake_seconds`: how long a phone takes from the push to its REGISTER. `follows`: whether a caller follows a
    redirection to the phone; else the deflection is the end of its call, as it is for the server. `talk_seconds`: how
    long an answered call lasts. All come from one address: the server must not limit its rate.
    """

    def __init__(
        self,
        server: Address,
        domain: str,
        *,
        password: Callable[[str], str],
        caller: str = "caller",
        host: str = "127.0.0.1",
        wake_seconds: float = 0.0,
        talk_seconds: float = 0.0,
        follows: bool = True,
        expires: int = 60,
    ) -> None:
        mark = secrets.token_hex(6)
        self._host = host
        self._wake_seconds = wake_seconds
        self._phones = LoadPhones(server, domain, password, mark, expires)
        self._callers = LoadCallers(
            server,
            domain,
            caller=caller,
            password=password,
            mark=mark,
            talk_seconds=talk_seconds,
            follows=follows,
            phones=self._phones.by_name,
        )

    async def __aenter__(self) -> Self:
        await self._phones.socket.open(self._host)
        await self._callers.socket.open(self._host)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._phones.socket.close()
        self._callers.socket.close()

    @property
    def registered(self) -> int:
        """How many REGISTERs were accepted."""
        return self._phones.registered

    @property
    def refused(self) -> int:
        """How many were not."""
        return self._phones.refused

    def wake(self, username: str) -> None:
        """A push came to this phone: it registers, now or after `wake_seconds`."""
        if self._wake_seconds:
            asyncio.get_running_loop().call_later(self._wake_seconds, self._phones.register, username)
        else:
            self._phones.register(username)

    async def call(
        self, usernames: Sequence[str], *, per_second: float = math.inf, patience_seconds: float = 90.0
    ) -> SipLoadResult:
        """One call to each, begun at this rate; returns when all are over, or `patience_seconds` after the last."""
        self._callers.tally = SipLoadTally()
        before, started = self._retransmissions, time.perf_counter()
        for number, username in enumerate(usernames):
            wait = started + number / per_second - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            elif number % _BREATHES_AFTER == 0:
                await asyncio.sleep(0)  # what has come must be read, however far behind the rate we are
            self._callers.begin(username)
        await self._callers.all_ended(patience_seconds)
        seconds = time.perf_counter() - started
        return self._callers.tally.result(len(usernames), seconds, self._retransmissions - before)

    async def register_all(self, usernames: Sequence[str], *, per_second: float = 500.0) -> None:
        """Registers phones that do not sleep, and returns when all are. Raises TimeoutError when some never are."""
        started = time.perf_counter()
        for number, username in enumerate(usernames):
            wait = started + number / per_second - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            self._phones.register(username)
        async with asyncio.timeout(60):
            while not all(self._phones.by_name[username].registered for username in usernames):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    @property
    def _retransmissions(self) -> int:
        return self._phones.socket.retransmissions + self._callers.socket.retransmissions
