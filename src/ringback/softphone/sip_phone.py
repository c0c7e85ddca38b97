"""A telephone: registers, calls, and is called. What a call does is in `sip_outgoing` and `sip_incoming`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from ringback.clock import Randomness, SystemRandomness
from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.message import Request, Response
from ringback.protocols.sip.uri import SipUri, parse_uri
from ringback.sip import (
    HERE,
    Authenticator,
    IncomingRequest,
    SipAddress,
    SipCounters,
    SipEndpoint,
    SipLimits,
    SipPassword,
    SipTimeout,
    SipUnreachable,
    Timers,
)
from ringback.softphone.errors import RegisterRefused, SipServerUnreachable
from ringback.softphone.sip_account import SipAccount, read_address
from ringback.softphone.sip_call import OnMove
from ringback.softphone.sip_incoming import IncomingCall
from ringback.softphone.sip_media import CallMedia
from ringback.softphone.sip_outgoing import OutgoingCall
from ringback.softphone.sip_unreachable import unreachable

ALLOW: Final = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS")
EXPIRES_SECONDS: Final = 300
_REFRESH_AT: Final = 0.8
_LEAST_REFRESH_SECONDS: Final = 1.0
_TRIES: Final = 3
_MOST_WAITING: Final = 100
"""Calls that came and that nobody has asked for yet."""
_INTERVAL_TOO_BRIEF: Final = 423


class SipPhone:
    """One phone with one account; `async with` opens its sockets, and hangs up and closes them at the end.

    `push_parameters`: what the Contact says about waking the phone (RFC 8599 §4.1), without the first semicolon.
    `sound`: whether calls have sound. `ca_file`: whom to believe about a server's certificate, besides the system's.
    """

    def __init__(
        self,
        account: SipAccount,
        *,
        push_parameters: str = "",
        sound: bool = True,
        ca_file: str | None = None,
        randomness: Randomness | None = None,
        clock: Callable[[], float] = time.monotonic,
        timers: Timers | None = None,
    ) -> None:
        self.account = account
        self.clock = clock
        self.random = (randomness or SystemRandomness()).bytes
        password = SipPassword(account.digest_username, account.password)
        self.authenticator = Authenticator(password, randomness)
        self.server = SipAddress(*account.address)
        self.host = ""
        self.calls: list[IncomingCall | OutgoingCall] = []
        self._push_parameters = push_parameters
        self._sound = sound
        self._ca_file = ca_file
        self._timers = timers
        self._endpoint: SipEndpoint | None = None
        self._new: list[IncomingCall] = []
        self._news = asyncio.Event()
        self._register_id = f"{self.random(12).hex()}@ringback"
        self._register_number = 0
        self._register_tag = self.random(8).hex()
        self._refreshing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.host = await _own_address(self.server)
        tls = None
        if self.server.transport == "tls":
            tls = ssl.create_default_context(cafile=self._ca_file)
        self._endpoint = endpoint = SipEndpoint(
            self,
            name="Ringback software phone",
            limits=SipLimits(calls=100, messages_per_second=0, takes_own_requests=True),
            timers=self._timers,
            counters=SipCounters(),
            methods=ALLOW,
            extensions=(),
            tls=tls,
        )
        await endpoint.listen("udp", self.host, 0)
        if self.server.transport == "tcp":
            await endpoint.listen("tcp", self.host, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        with contextlib.suppress(Exception):
            await asyncio.gather(*(call.hang_up() for call in self.calls))
        await self.endpoint.close()

    @property
    def endpoint(self) -> SipEndpoint:
        """Where it speaks SIP; inside `async with`."""
        if self._endpoint is None:
            raise RuntimeError("the phone is used outside `async with`")
        return self._endpoint

    # registering ------------------------------------------------------------------------------------------------------

    async def register(self, expires: int = EXPIRES_SECONDS) -> int:
        """Tells the server where the phone is, and goes on telling it; for how many seconds it was granted.

        Raises RegisterRefused, SipServerUnreachable.
        """
        granted = await self._register(expires)
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._refreshing = asyncio.create_task(self._refresh(expires, granted))
        return granted

    async def unregister(self) -> None:
        """The phone is not there any more. A server that does not answer will notice by itself."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            self._refreshing = None
        with contextlib.suppress(RegisterRefused, SipServerUnreachable):
            await self._register(0)

    async def _register(self, expires: int) -> int:
        for _ in range(_TRIES):
            answer = await self.send(self._register_request(expires))
            self._register_number = answer.cseq.number
            if answer.status == 200:
                place = parse_uri(await self.endpoint.contact_towards(self.server, self.account.user))
                return _granted(answer, place, expires)
            if answer.status == _INTERVAL_TOO_BRIEF:
                least = answer.headers.get("Min-Expires") or ""
                if least.isdecimal() and int(least) > expires > 0:
                    expires = int(least)
                    continue
            raise RegisterRefused(answer.status, answer.reason)
        raise RegisterRefused(_INTERVAL_TOO_BRIEF, "Interval Too Brief")

    def _register_request(self, expires: int) -> Request:
        account = self.account
        self._register_number += 1
        request = Request("REGISTER", f"sip:{account.domain}")
        headers = request.headers
        headers.add("From", f"<{account.uri}>;tag={self._register_tag}")
        headers.add("To", f"<{account.uri}>")
        headers.add("Call-ID", self._register_id)
        headers.add("CSeq", f"{self._register_number} REGISTER")
        parameters = f";{self._push_parameters}" if self._push_parameters else ""
        instance = f';+sip.instance="<{account.instance}>"' if account.instance else ""
        headers.add("Contact", f"<sip:{account.user}@{HERE}{parameters}>{instance}")
        headers.add("Expires", str(expires))
        headers.add("Allow", ", ".join(ALLOW))
        if account.instance:
            headers.add("Supported", "outbound, path")
        return request

    async def _refresh(self, expires: int, granted: int) -> None:
        while True:
            await asyncio.sleep(max(granted * _REFRESH_AT, _LEAST_REFRESH_SECONDS))
            try:
                granted = await self._register(expires)
            except (RegisterRefused, SipServerUnreachable):
                granted = max(granted // 2, 1)  # again, while the binding is still there

    # requests ---------------------------------------------------------------------------------------------------------

    async def send(self, request: Request, to: SipAddress | None = None) -> Response:
        """One request but INVITE; the final answer, after digest where that is asked. Raises SipServerUnreachable."""
        place = to or self.server
        try:
            return await self.authenticator.send(self.endpoint, request, place)
        except (SipTimeout, SipUnreachable) as error:
            raise unreachable(place, error) from error

    # calls ------------------------------------------------------------------------------------------------------------

    async def call(self, address: str, *, on_move: OnMove | None = None, in_parallel: bool = False) -> OutgoingCall:
        """Calls; returns at once, and the call goes on by itself. Raises SipAccountRefused.

        `in_parallel`: contacts of a redirection are called all at once; else one after the other, as they are ranked.
        """
        call = OutgoingCall(
            self,
            read_address(address),
            call_id=f"{self.random(16).hex()}@{self.host}",
            media=await self.new_media(),
            on_move=on_move,
            in_parallel=in_parallel,
        )
        self._keep(call)
        call.begin()
        return call

    async def next_call(
        self, call_id: str | None = None, *, seconds: float | None = None, on_move: OnMove | None = None
    ) -> IncomingCall | None:
        """The next call that comes in, or the one with this Call-ID; None when none came in this time.

        It rings already. `on_move` hears of what it does from now on.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    for call in self._new:
                        if call_id is None or call.call_id == call_id:
                            self._new.remove(call)
                            call.on_move = on_move
                            return call
                    self._news.clear()
                    await self._news.wait()
        return None

    async def new_media(self) -> CallMedia | None:
        """A socket for the sound of one call; None for a phone without sound."""
        if not self._sound:
            return None
        media = CallMedia(self.random)
        await media.open(self.host)
        return media

    # what the endpoint hands over -------------------------------------------------------------------------------------

    def on_request(self, incoming: IncomingRequest) -> None:
        """A new request of somebody else."""
        request = incoming.request
        if request.method == "OPTIONS":
            incoming.respond(200, headers=[("Allow", ", ".join(ALLOW))])
        elif request.to_tag is not None:
            call = self._call_of(request)
            if call is None:
                incoming.respond(481)
            else:
                call.on_request(incoming)
        elif request.method != "INVITE":
            incoming.respond(481)
        elif any(call.call_id == request.call_id and call.state != "ENDED" for call in self.calls):
            incoming.respond(482)  # the same call by another way: it rings here already
        else:
            self._ring(incoming)

    def on_ack(self, ack: Request, source: SipAddress) -> None:
        """The ACK to a 2xx of ours."""
        del source
        call = self._call_of(ack)
        if isinstance(call, IncomingCall):
            call.on_ack(ack)

    def _ring(self, incoming: IncomingRequest) -> None:
        try:
            call = IncomingCall(self, incoming)
        except SipMalformed as error:
            incoming.respond(400, error.reason)
            return
        self._keep(call)
        call.ring()
        self._new = [*self._new[-_MOST_WAITING:], call]
        self._news.set()

    def _keep(self, call: IncomingCall | OutgoingCall) -> None:
        """Those that are over are forgotten, so that a phone may live long."""
        self.calls = [*(one for one in self.calls if one.state != "ENDED"), call]

    def _call_of(self, request: Request) -> IncomingCall | OutgoingCall | None:
        return next((call for call in self.calls if call.takes(request)), None)


def _granted(answer: Response, place: SipUri, asked: int) -> int:
    """How long our binding is kept; the answer lists those of other phones as well (RFC 3261 §10.2.4)."""
    with contextlib.suppress(SipMalformed):
        for contact in answer.contacts:
            theirs = contact.sip_uri
            if (theirs.username, theirs.host, theirs.port) == (place.username, place.host, place.port):
                kept = contact.parameters.get("expires") or ""
                return int(kept) if kept.isdecimal() else asked
    return answer.expires if answer.expires is not None else asked


async def _own_address(server: SipAddress) -> str:
    """This machine's address on the way to the server. Raises SipServerUnreachable."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
        family, _, _, _, address = found[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)  # nothing is sent
            return str(probe.getsockname()[0])
    except OSError as error:
        raise unreachable(server, error) from error
