"""The phones of a load: each sleeps until it is woken, registers with digest, and answers whoever calls."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from ringback.protocols.sip.digest import Challenge, answer, parse_challenge
from ringback.softphone.sip_load_socket import Address, LoadSocket, Sent
from ringback.softphone.sip_load_wire import CHALLENGES, SDP, header, look_at, via, write_request, write_response

_SUCCESS, _REDIRECT = 200, 300


class LoadPhone:
    """One subscriber."""

    __slots__ = ("call_id", "challenge", "cseq", "nonce_count", "registered", "registered_at", "sent", "username")

    def __init__(self, username: str, call_id: str) -> None:
        self.username = username
        self.call_id = call_id
        self.cseq = 0
        self.challenge: Challenge | None = None
        self.nonce_count = 0
        self.sent: Sent | None = None
        self.registered = False
        self.registered_at = 0.0
        """When the newest REGISTER was sent (`time.perf_counter`)."""


class LoadPhones:
    """All phones, on one socket."""

    def __init__(self, server: Address, domain: str, password: Callable[[str], str], mark: str, expires: int) -> None:
        self._server = server
        self._domain = domain
        self._password = password
        self._mark = mark
        self._expires = expires
        self._numbers = itertools.count(1)
        self._by_call_id: dict[bytes, LoadPhone] = {}
        self.by_name: dict[str, LoadPhone] = {}
        self.socket = LoadSocket(self._received)
        self.registered = 0
        self.refused = 0

    def register(self, username: str) -> None:
        """Sends a REGISTER, with the answer to the newest challenge that the phone had."""
        phone = self.by_name.get(username)
        if phone is None:
            phone = self.by_name[username] = LoadPhone(username, f"r{next(self._numbers)}-{self._mark}")
            self._by_call_id[phone.call_id.encode()] = phone
        self._send(phone)

    def _send(self, phone: LoadPhone) -> None:
        if phone.sent is not None:
            phone.sent.over = True
        phone.cseq += 1
        host, port = self.socket.address
        uri, aor = f"sip:{self._domain}", f"sip:{phone.username}@{self._domain}"
        lines = [
            via(self.socket.address, f"p{next(self._numbers)}{self._mark}"),
            "Max-Forwards: 70",
            f"From: <{aor}>;tag={phone.call_id}",
            f"To: <{aor}>",
            f"Call-ID: {phone.call_id}",
            f"CSeq: {phone.cseq} REGISTER",
            f"Contact: <sip:{phone.username}@{host}:{port}>",
            f"Expires: {self._expires}",
        ]
        if phone.challenge is not None:
            phone.nonce_count += 1
            proof = answer(
                phone.challenge,
                "REGISTER",
                uri,
                phone.username,
                password=self._password(phone.username),
                cnonce=self._mark,
                nc=phone.nonce_count,
            )
            lines.append(f"Authorization: {proof}")
        phone.registered_at = time.perf_counter()
        phone.sent = self.socket.send_until_answered(write_request("REGISTER", uri, lines), self._server)

    def _received(self, data: bytes, address: Address) -> None:
        seen = look_at(data)
        if seen is None:
            return
        if seen.method:
            self._asked(seen.method, data, address)
            return
        phone = self._by_call_id.get(seen.call_id)
        if phone is None or phone.sent is None or seen.status < _SUCCESS:
            return
        if int(header(data, "CSeq").split()[0]) == phone.cseq:
            phone.sent.over = True
            phone.sent = None
            self._answered(phone, seen.status, data)

    def _answered(self, phone: LoadPhone, status: int, data: bytes) -> None:
        if status in CHALLENGES:
            fresh = parse_challenge(header(data, CHALLENGES[status][0]).decode())
            known, phone.challenge = phone.challenge, fresh
            # Another nonce was asked for: the first time, or because the old one is stale. The same: wrong password.
            if known is None or known.nonce != fresh.nonce:
                phone.nonce_count = 0
                self._send(phone)
                return
        if status < _REDIRECT:
            phone.registered = True
            self.registered += 1
        else:
            self.refused += 1

    def _asked(self, method: bytes, data: bytes, address: Address) -> None:
        """A call reaches a phone, which answers at once."""
        if method == b"ACK":
            return
        if method != b"INVITE":
            self.socket.send(write_response(data, "200 OK", "p", []), address)
            return
        host, port = self.socket.address
        contact = [f"Contact: <sip:phone@{host}:{port}>"]
        self.socket.send(write_response(data, "180 Ringing", "p", contact), address)
        body = SDP.format(host=host, port=port)
        self.socket.send(write_response(data, "200 OK", "p", contact, body), address)
