"""The callers of a load: INVITE, wherever it leads, ACK, talk, BYE; thousands of calls on one socket."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping

from ringback.protocols.sip.digest import Challenge, answer, parse_challenge
from ringback.softphone.sip_load_phones import LoadPhone
from ringback.softphone.sip_load_result import SipLoadTally
from ringback.softphone.sip_load_socket import Address, LoadSocket, Sent
from ringback.softphone.sip_load_wire import (
    CHALLENGES,
    SDP,
    address_of,
    contact_uri,
    header,
    look_at,
    record_route,
    via,
    write_request,
    write_response,
)

_SUCCESS, _REDIRECT, _FAILURE = 200, 300, 400
_EARLY_MEDIA = 183


class LoadCall:
    """One call. `acknowledged`: the ACK of the last refusal, for when that refusal comes again."""

    __slots__ = (
        "acknowledged", "authorization", "began", "call_id", "cseq", "early", "final_at", "number", "peer", "sent",
        "state", "to", "uri", "username",
    )  # fmt: skip

    def __init__(self, number: int, call_id: str, username: str, uri: str, peer: Address) -> None:
        self.number = number
        self.call_id = call_id
        self.username = username
        self.uri = uri
        self.peer = peer
        self.to = ""
        self.cseq = 0
        self.began = time.perf_counter()
        self.early = False
        self.final_at = 0.0
        self.authorization = ""
        self.state = "CALLING"
        self.sent: Sent | None = None
        self.acknowledged: tuple[int, bytes, Address] | None = None


class LoadCallers:
    """All calls. See `SipLoad` for what the arguments mean."""

    def __init__(
        self,
        server: Address,
        domain: str,
        *,
        caller: str,
        password: Callable[[str], str],
        mark: str,
        talk_seconds: float,
        follows: bool,
        phones: Mapping[str, LoadPhone],
    ) -> None:
        self._server = server
        self._domain = domain
        self._caller = caller
        self._password = password
        self._mark = mark
        self._talk_seconds = talk_seconds
        self._follows = follows
        self._phones = phones
        self._numbers = itertools.count(1)
        self._calls: dict[bytes, LoadCall] = {}
        self._challenge: Challenge | None = None
        self._nonce_count = 0
        self._ended = asyncio.Event()
        self.socket = LoadSocket(self._received)
        self.tally = SipLoadTally()

    def begin(self, username: str) -> None:
        """Calls one subscriber."""
        number = next(self._numbers)
        call = LoadCall(number, f"c{number}-{self._mark}", username, f"sip:{username}@{self._domain}", self._server)
        self._calls[call.call_id.encode()] = call
        self._invite(call)

    async def all_ended(self, patience_seconds: float) -> None:
        """Returns when every call is over; those that are not in time are lost."""
        try:
            async with asyncio.timeout(patience_seconds):
                while self._calls:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            self.tally.lost += sum(not call.final_at for call in self._calls.values())
            self._calls.clear()

    def _received(self, data: bytes, address: Address) -> None:
        seen = look_at(data)
        if seen is None:
            return
        if seen.method:
            if seen.method != b"ACK":
                self.socket.send(write_response(data, "200 OK", "c", []), address)
            return
        call = self._calls.get(seen.call_id)
        if call is not None and call.sent is not None:
            self._told(call, call.sent, seen.status, data)

    def _told(self, call: LoadCall, sent: Sent, status: int, data: bytes) -> None:
        number, _, method = header(data, "CSeq").decode().partition(" ")
        if int(number) != call.cseq:
            if call.acknowledged is not None and call.acknowledged[0] == int(number) and status >= _REDIRECT:
                self.socket.send(*call.acknowledged[1:])  # the ACK was lost
        elif method.strip() == "BYE":
            if status >= _SUCCESS:
                sent.over = True
                self.tally.hung_up += 1
                self._end(call)
        elif call.state == "TALKING":
            self._acknowledge_success(call, data)  # the 200 came again: the ACK was lost
        elif status < _SUCCESS:
            self._provisional(call, sent, status, data)
        else:
            self._final(call, sent, status, data)

    def _provisional(self, call: LoadCall, sent: Sent, status: int, data: bytes) -> None:
        sent.is_heard()
        if status == _EARLY_MEDIA and not call.early and b"application/sdp" in data.lower():
            call.early = True
            self.tally.early_media += 1
            self.tally.to_183.append((time.perf_counter() - call.began) * 1000)

    def _final(self, call: LoadCall, sent: Sent, status: int, data: bytes) -> None:
        sent.over = True
        if status >= _REDIRECT:
            self._acknowledge_failure(call, sent, data)
        if status in CHALLENGES and not call.authorization:
            self._prove(call, status, data)
            return
        if not call.final_at:
            self._first_final(call, status)
        if status < _REDIRECT:
            self._answered(call, data)
            return
        leads_to = contact_uri(data) if status < _FAILURE and self._follows and call.state == "CALLING" else b""
        peer = address_of(leads_to) if leads_to else None
        if peer is None:
            self._end(call)
            return
        call.state, call.uri, call.peer, call.authorization = "FOLLOWING", leads_to.decode(), peer, ""
        self._invite(call)

    def _first_final(self, call: LoadCall, status: int) -> None:
        call.final_at = time.perf_counter()
        self.tally.final(status)
        self.tally.to_final.append((call.final_at - call.began) * 1000)
        phone = self._phones.get(call.username)
        if phone is not None and phone.registered_at > call.began:
            self.tally.register_to_final.append((call.final_at - phone.registered_at) * 1000)

    def _prove(self, call: LoadCall, status: int, data: bytes) -> None:
        asked, told = CHALLENGES[status]
        fresh = parse_challenge(header(data, asked).decode())
        if self._challenge is None or self._challenge.nonce != fresh.nonce:
            self._challenge, self._nonce_count = fresh, 0
        self._nonce_count += 1
        proof = answer(
            fresh,
            "INVITE",
            call.uri,
            self._caller,
            password=self._password(self._caller),
            cnonce=self._mark,
            nc=self._nonce_count,
        )
        call.authorization = f"{told}: {proof}"
        self._invite(call)

    def _answered(self, call: LoadCall, data: bytes) -> None:
        self.tally.answered += 1
        call.state = "TALKING"
        routes = self._acknowledge_success(call, data)
        if self._talk_seconds:
            asyncio.get_running_loop().call_later(self._talk_seconds, self._hang_up, call, routes)
        else:
            self._hang_up(call, routes)

    # what a caller sends ----------------------------------------------------------------------------------------------

    def _invite(self, call: LoadCall) -> None:
        call.cseq += 1
        host, port = self.socket.address
        lines = [*self._lines(call, "INVITE", call.cseq), f"Contact: <sip:{self._caller}@{host}:{port}>"]
        if call.authorization:
            lines.append(call.authorization)
        data = write_request("INVITE", call.uri, lines, SDP.format(host=host, port=port))
        call.sent = self.socket.send_until_answered(data, call.peer, is_invite=True)

    def _acknowledge_failure(self, call: LoadCall, sent: Sent, data: bytes) -> None:
        """With the branch of the INVITE, to where that went (RFC 3261 §17.1.1.3)."""
        same_via = sent.data.split(b"\r\n", 2)[1].decode()
        lines = self._lines(call, "ACK", call.cseq, to=header(data, "To").decode(), own_via=same_via)
        acknowledgement = write_request("ACK", call.uri, lines)
        call.acknowledged = (call.cseq, acknowledgement, sent.address)
        self.socket.send(acknowledgement, sent.address)

    def _acknowledge_success(self, call: LoadCall, data: bytes) -> list[bytes]:
        call.to = header(data, "To").decode()
        call.uri = contact_uri(data).decode() or call.uri
        routes = record_route(data)
        number = int(header(data, "CSeq").split()[0])
        lines = [*self._lines(call, "ACK", number), *(f"Route: {route.decode()}" for route in routes)]
        self.socket.send(write_request("ACK", call.uri, lines), self._next_hop(call, routes))
        return routes

    def _hang_up(self, call: LoadCall, routes: list[bytes]) -> None:
        call.cseq += 1
        lines = [*self._lines(call, "BYE", call.cseq), *(f"Route: {route.decode()}" for route in routes)]
        data = write_request("BYE", call.uri, lines)
        call.sent = self.socket.send_until_answered(data, self._next_hop(call, routes))

    def _next_hop(self, call: LoadCall, routes: list[bytes]) -> Address:
        return address_of(routes[0] if routes else call.uri.encode()) or call.peer

    def _lines(self, call: LoadCall, method: str, cseq: int, *, to: str = "", own_via: str = "") -> list[str]:
        return [
            own_via or via(self.socket.address, f"c{next(self._numbers)}{self._mark}"),
            "Max-Forwards: 70",
            f"From: <sip:{self._caller}@{self._domain}>;tag=c{call.number}",
            f"To: {to or call.to or f'<sip:{call.username}@{self._domain}>'}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {cseq} {method}",
        ]

    def _end(self, call: LoadCall) -> None:
        self._calls.pop(call.call_id.encode(), None)
        if not self._calls:
            self._ended.set()
