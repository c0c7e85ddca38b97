"""An application server that does what a test says, for what a real one never does: wrong Contacts, 503, silence."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator

from tests.calls.peer import Message, Peer, write

_numbers = itertools.count(1)


class ScriptedServer:
    """Answers OPTIONS while `alive`; everything else is what the test calls."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.alive = True
        peer.answer_by_itself = self._answer_by_itself

    @staticmethod
    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[ScriptedServer]:
        """On a free port."""
        async with Peer.start() as peer:
            yield ScriptedServer(peer)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self.peer.address

    def answer(self, request: Message, status: int, *more: tuple[str, str]) -> None:
        """Answers where the request came from; more header fields as given."""
        fields = [("Via", via) for via in request.all("Via")]
        fields += [(name, request.get(name)) for name in ("From", "Call-ID", "CSeq")]
        to = request.get("To")
        fields.append(("To", to if "tag=" in to or status == 100 else f"{to};tag=server{self.peer.port}"))
        self.peer.send(write(f"SIP/2.0 {status} Said", [*fields, *more]), came_from(request))

    async def invite(self, status: int = 183) -> Message:
        """The next INVITE, answered 100 and, unless `status` is 0, further."""
        request = await self.peer.expect("INVITE")
        if status:
            self.answer(request, 100)
            self.answer(request, status, ("Contact", f"<sip:server@{self.address}>"))
        return request

    def subscribe(self, to: tuple[str, int], aor: str, event: str = "reg", *more: tuple[str, str]) -> str:
        """Sends a SUBSCRIBE; returns its Call-ID."""
        number = next(_numbers)
        fields = [
            ("Via", f"SIP/2.0/UDP {self.address};branch=z9hG4bKsub{number}"),
            ("From", f"<sip:server@{self.address}>;tag=sub{number}"),
            ("To", f"<sip:{aor}>"),
            ("Call-ID", f"sub{number}@{self.address}"),
            ("CSeq", "1 SUBSCRIBE"),
            ("Contact", f"<sip:server@{self.address}>"),
            ("Event", event),
            ("Expires", "60"),
            ("Max-Forwards", "70"),
            *more,
        ]
        self.peer.send(write(f"SUBSCRIBE sip:{aor} SIP/2.0", fields), to)
        return f"sub{number}@{self.address}"

    async def notified(self, words: str = "") -> Message:
        """The next NOTIFY with `words` in its body, answered 200; those before are answered and dropped."""
        while True:
            notify = await self.peer.expect("NOTIFY")
            self.answer(notify, 200)
            if words in notify.body:
                return notify

    def _answer_by_itself(self, message: Message) -> bool:
        if message.method == "OPTIONS":
            if self.alive:
                self.answer(message, 200)
            return True
        return False


def came_from(request: Message) -> tuple[str, int]:
    """The host and port of its top Via."""
    host, _, port = request.all("Via")[0].split(" ")[1].split(";")[0].partition(":")
    return host, int(port or 5060)
