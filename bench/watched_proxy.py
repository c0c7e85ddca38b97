"""The SIP proxy of the benches: `python -m bench.watched_proxy` prints its port, and then does what its input says.

It is registrar and proxy as far as an application server sees them: every SUBSCRIBE is accepted, and told that nobody
is registered. For each line with a Load it calls phones that sleep, has each of them register a little later, and
prints a Told: how long it took from the NOTIFY of that to the 302. What is lost on the way is sent again.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter
from typing import cast

import msgspec
import uvloop

DOMAIN = "example.org"
AGAIN_SECONDS = 0.5
PATIENCE_SECONDS = 60
_BUFFER_BYTES = 8 << 20
_SO_RCVBUFFORCE = 33
_OFFER = (
    "v=0\r\no=alice 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0 8\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
)
_REGINFO = (
    '<?xml version="1.0"?>\n<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="1" state="full">\n'
    '  <registration aor="{aor}" id="r1" state="active">\n    <contact id="c1" state="active" event="registered"'
    ' expires="300">\n      <uri>sip:phone@127.0.0.1:9</uri>\n    </contact>\n  </registration>\n</reginfo>\n'
)


class Load(msgspec.Struct, frozen=True):
    """Calls to u`first`, u`first + 1`…; their phones register so long after the INVITE."""

    server_port: int
    first: int
    calls: int
    per_second: int
    wake_after_seconds: float


class Told(msgspec.Struct, frozen=True):
    """What became of them. `notify_to_final_ms`: from the NOTIFY of a phone to the 302 of its caller."""

    seconds: float
    finals: dict[int, int]
    notify_to_final_ms: list[float]
    sent_again: int


class _Subscription(msgspec.Struct):
    """The dialog of a subscription. `numbers`: of its NOTIFYs; `asked`: CSeqs of SUBSCRIBEs that were answered."""

    local: str
    remote: str
    contact: str
    expires: str
    asked: set[str]
    numbers: itertools.count[int]


class WatchedProxy(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._subscriptions: dict[str, _Subscription] = {}
        self._of_callee: dict[str, str] = {}
        self._sent: dict[tuple[str, str], tuple[bytes, tuple[str, int]]] = {}
        self._notified: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._finals: Counter[int] = Counter()
        self._took_ms: list[float] = []
        self._sent_again = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is none by class
        transport.get_extra_info("socket").setsockopt(1, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self.port: int = transport.get_extra_info("sockname")[1]
        self._own = f"127.0.0.1:{self.port}"

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        """A request or an answer of the application server."""
        start, *lines = data.decode().partition("\r\n\r\n")[0].split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        if start.startswith("SUBSCRIBE"):
            self._subscribed(fields, peer)
        elif start.startswith("SIP/2.0"):
            self._answered(int(start.split()[1]), fields, peer)

    # registration events ----------------------------------------------------------------------------------------------

    def _subscribed(self, fields: dict[str, str], peer: tuple[str, int]) -> None:
        call_id, number = fields["Call-ID"], fields["CSeq"]
        known = self._subscriptions.get(call_id)
        if known is None:
            # Tags and branches as long as Kamailio makes them.
            to = f"{fields['To']};tag=a6a1c5f60563984e8c437d92b62a2c3c-{len(self._subscriptions):08x}"
            known = self._subscriptions[call_id] = _Subscription(
                to, fields["From"], fields["Contact"].strip("<>"), fields["Expires"], set(), itertools.count(1)
            )
            self._of_callee[fields["To"].strip("<>")] = call_id
        copied = [f"{name}: {fields[name]}" for name in ("Via", "From", "Call-ID", "CSeq", "Expires")]
        self._send(["SIP/2.0 200 OK", *copied, f"To: {known.local}", f"Contact: <sip:{self._own}>"], "", peer)
        if number not in known.asked:
            known.asked.add(number)
            ends = fields["Expires"] == "0"
            self._notify(call_id, "terminated;reason=timeout" if ends else f"active;expires={known.expires}", "", peer)

    def _notify(self, call_id: str, state: str, body: str, peer: tuple[str, int]) -> None:
        known = self._subscriptions[call_id]
        number = next(known.numbers)
        lines = [
            f"NOTIFY {known.contact} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._own};branch=z9hG4bK7ad7.{call_id[:32]}{number:08x}.0",
            f"To: {known.remote}",
            f"From: {known.local}",
            f"CSeq: {number} NOTIFY",
            f"Call-ID: {call_id}",
            "Max-Forwards: 70",
            "User-Agent: Kamailio",
            "Event: reg",
            f"Contact: <sip:{self._own};transport=udp>",
            f"Subscription-State: {state}",
        ]
        if body:
            lines.append("Content-Type: application/reginfo+xml")
        self._send(lines, body, peer, until_answered=(call_id, f"{number} NOTIFY"))

    # calls ------------------------------------------------------------------------------------------------------------

    async def call(self, load: Load) -> Told:
        """Returns when all have their final answer."""
        peer, began = ("127.0.0.1", load.server_port), self._loop.time()
        for turn in range(load.calls):
            await asyncio.sleep(max(0.0, began + turn / load.per_second - self._loop.time()))
            name = f"u{load.first + turn}"
            self._invite(name, peer)
            self._loop.call_later(load.wake_after_seconds, self._register, name, peer)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._waiting:
                await asyncio.sleep(0.01)
        return Told(self._loop.time() - began, dict(self._finals), self._took_ms, self._sent_again)

    def _invite(self, name: str, peer: tuple[str, int]) -> None:
        call_id = f"call-of-{name}"
        self._waiting.add(call_id)
        lines = [
            f"INVITE sip:{name}@{DOMAIN} SIP/2.0",
            *self._of_invite(name, "INVITE"),
            f"To: <sip:{name}@{DOMAIN}>",
            f"Contact: <sip:alice@{self._own}>",
            "Content-Type: application/sdp",
        ]
        self._send(lines, _OFFER, peer, until_answered=(call_id, "1 INVITE"))

    def _of_invite(self, name: str, method: str) -> list[str]:
        """What an INVITE and its ACK share."""
        return [
            f"Via: SIP/2.0/UDP {self._own};branch=z9hG4bKinvite-{name}",
            f'From: "Alice" <sip:alice@{DOMAIN}>;tag=of-{name}',
            f"Call-ID: call-of-{name}",
            f"CSeq: 1 {method}",
            "Max-Forwards: 70",
        ]

    def _register(self, name: str, peer: tuple[str, int]) -> None:
        """The phone wakes; the application server is told, when it has subscribed by now."""
        aor = f"sip:{name}@{DOMAIN}"
        call_id = self._of_callee.get(aor)
        if call_id is None:
            self._loop.call_later(AGAIN_SECONDS, self._register, name, peer)
            return
        expires = self._subscriptions[call_id].expires
        self._notified[f"call-of-{name}"] = time.perf_counter()
        self._notify(call_id, f"active;expires={expires}", _REGINFO.format(aor=aor), peer)

    def _answered(self, status: int, fields: dict[str, str], peer: tuple[str, int]) -> None:
        call_id, cseq = fields["Call-ID"], fields["CSeq"]
        self._sent.pop((call_id, cseq), None)
        if cseq != "1 INVITE" or status < 200:
            return
        came_at = time.perf_counter()
        name = call_id.removeprefix("call-of-")
        ack = [f"ACK sip:{name}@{DOMAIN} SIP/2.0", *self._of_invite(name, "ACK"), f"To: {fields['To']}"]
        self._send(ack, "", peer)
        if call_id in self._waiting:
            self._waiting.remove(call_id)
            self._finals[status] += 1
            if call_id in self._notified:
                self._took_ms.append((came_at - self._notified[call_id]) * 1000)

    # the socket -------------------------------------------------------------------------------------------------------

    def _send(
        self, lines: list[str], body: str, peer: tuple[str, int], *, until_answered: tuple[str, str] | None = None
    ) -> None:
        data = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()
        self._transport.sendto(data, peer)
        if until_answered is not None:
            self._sent[until_answered] = data, peer
            self._loop.call_later(AGAIN_SECONDS, self._send_again, until_answered)

    def _send_again(self, name: tuple[str, str]) -> None:
        sent = self._sent.get(name)
        if sent is not None:
            self._sent_again += 1
            self._transport.sendto(*sent)
            self._loop.call_later(AGAIN_SECONDS, self._send_again, name)


async def main() -> None:
    """Serves until its input ends."""
    loop = asyncio.get_running_loop()
    _, proxy = await loop.create_datagram_endpoint(WatchedProxy, ("127.0.0.1", 0))
    print(proxy.port, flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        told = await proxy.call(msgspec.json.decode(line, type=Load))
        print(msgspec.json.encode(told).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
