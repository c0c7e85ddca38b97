"""What a phone learns about its server and needs for a while: the server's time, and its temporary keys."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from ringback.clock import Clock
from ringback.protocols.powerauth.temporary_key_client import TemporaryKey
from ringback.protocols.powerauth.versions import protocol_version
from ringback.softphone import enrolment
from ringback.softphone.configuration import AppConfiguration
from ringback.softphone.errors import PhoneError
from ringback.softphone.http import PhoneConnection
from ringback.softphone.state import PhoneState
from ringback.softphone.wire import EncodedJwt, PhoneRequest, Plain, ServerState, plain_body


class ServerSide:
    """Asks for them when they are needed, and keeps them as long as they are good. In memory only."""

    def __init__(self, connection: PhoneConnection, clock: Clock, random: Callable[[int], bytes]) -> None:
        self._connection = connection
        self._clock = clock
        self._random = random
        self._temporary_keys: dict[str | None, TemporaryKey] = {}
        self._ahead_ms: int | None = None

    def now_ms(self) -> int:
        """The server's time, Unix milliseconds; the phone's own as long as nobody asked."""
        return self._clock.now_ms() + (self._ahead_ms or 0)

    async def ask_time_once(self, server_url: str) -> None:
        """Sets the time, unless it is known."""
        if self._ahead_ms is None:
            await self._ask_time(server_url)

    async def ask_time_again(self, server_url: str) -> None:
        """Sets the time, since a clock may have been set meanwhile; the server need not answer."""
        with contextlib.suppress(PhoneError):
            await self._ask_time(server_url)

    async def _ask_time(self, server_url: str) -> None:
        before = self._clock.now_ms()
        request = PhoneRequest("/pa/v3/status", plain_body({}))
        answer = await self._connection.send(server_url, request, Plain[ServerState])
        middle = (before + self._clock.now_ms()) // 2
        self._ahead_ms = answer.response_object.server_time - middle

    async def encryption_key(
        self, server_url: str, configuration: AppConfiguration, state: PhoneState | None, version: str
    ) -> TemporaryKey | None:
        """The temporary key of the scope (`state` None: application), None in versions that have none.

        It is asked for again 10 s before it expires. Sets the time, which envelopes carry from 3.2 on.
        """
        spoken = protocol_version(version)
        if not spoken.temporary_keys:
            if spoken.envelope_timestamp:
                await self.ask_time_once(server_url)
            return None
        scope = None if state is None else state.activation_id
        known = self._temporary_keys.get(scope)
        if known is not None and known.is_usable(self.now_ms()):
            return known
        request, pending = enrolment.begin_temporary_key(configuration, state, self._random)
        answer = await self._connection.send(server_url, request, Plain[EncodedJwt])
        key = enrolment.finish_temporary_key(pending, answer)
        self._ahead_ms = key.server_time_ms - self._clock.now_ms()
        self._temporary_keys[scope] = key
        return key
