"""A SIP proxy that does what no real one can be made to do: it answers when, how and in what order the test says."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.calls.peer import Message, Peer, write

OFFER = (
    "v=0\r\no=alice 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0\r\n"
    "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
)
_numbers = itertools.count(1)
_ADDRESS = re.compile(r"sips?:(?:[^@>;]*@)?([^:>;]+):(\d+)")


def contact(number: int = 1, *, state: str = "active", expires: int = 60) -> str:
    """One contact of a reginfo document."""
    event = "registered" if state == "active" else "expired"
    return (
        f'<contact id="c{number}" state="{state}" event="{event}" expires="{expires}">'
        f"<uri>sip:bob@10.0.0.{number}</uri></contact>"
    )


def reginfo(*contacts: str, state: str = "full", version: int = 0, aor: str = "sip:bob@example.com") -> str:
    """A document as Kamailio writes them."""
    said = "active" if any('state="active"' in one for one in contacts) else "terminated"
    return (
        f'<?xml version="1.0"?>\n<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="{version}" state="{state}">'
        f'<registration aor="{aor}" id="r1" state="{said}">{"".join(contacts)}</registration></reginfo>'
    )


@dataclass
class Invited:
    """An INVITE that was sent."""

    uri: str
    via: str
    from_: str
    to: str
    call_id: str
    cseq: int

    def fields(self, method: str, *, to: str = "") -> list[tuple[str, str]]:
        """Those that its ACK and its CANCEL share."""
        return [
            ("Via", self.via),
            ("Max-Forwards", "70"),
            ("From", self.from_),
            ("To", to or self.to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} {method}"),
        ]


@dataclass
class Watched:
    """A SUBSCRIBE that came, and the dialog that this proxy makes of it."""

    request: Message
    tag: str
    cseq: int = field(default=0)

    @property
    def to(self) -> str:
        """To, with our tag."""
        to = self.request.get("To")
        return to if ";tag=" in to else f"{to};tag={self.tag}"


class ScriptedProxy:
    """One UDP socket that speaks to one application server."""

    def __init__(self, peer: Peer, server: tuple[str, int]) -> None:
        self.peer = peer
        self.server = server
        self._subscribes: set[str] = set()

    @staticmethod
    @contextlib.asynccontextmanager
    async def start(server: str, host: str = "127.0.0.1") -> AsyncIterator[ScriptedProxy]:
        """`server`: HOST:PORT of the application server."""
        to, _, port = server.rpartition(":")
        async with Peer.start(host) as peer:
            yield ScriptedProxy(peer, (to, int(port)))

    # calls ------------------------------------------------------------------------------------------------------------

    def invite(
        self,
        callee: str = "bob@example.com",
        *,
        offer: str = OFFER.format(port=6000),
        call_id: str = "",
        branch: str = "",
        more: tuple[tuple[str, str], ...] = (),
        to_tag: str = "",
        cseq: int = 1,
    ) -> Invited:
        """Sends an INVITE."""
        number = next(_numbers)
        invited = Invited(
            uri=f"sip:{callee}",
            via=f"SIP/2.0/UDP {self.peer.address};branch={branch or f'z9hG4bKinvite{number}'}",
            from_=f'"Alice" <sip:alice@example.com>;tag=a{number}',
            to=f"<sip:{callee}>" + (f";tag={to_tag}" if to_tag else ""),
            call_id=call_id or f"call-{number}@{self.peer.address}",
            cseq=cseq,
        )
        self.send_invite(invited, offer=offer, more=more)
        return invited

    def send_invite(self, invited: Invited, *, offer: str = "", more: tuple[tuple[str, str], ...] = ()) -> None:
        """Sends it, also again."""
        fields = [*invited.fields("INVITE"), ("Contact", f"<sip:alice@{self.peer.address}>"), *more]
        if offer:
            fields.append(("Content-Type", "application/sdp"))
        self.send(f"INVITE {invited.uri} SIP/2.0", fields, offer)

    def hang_up(self, invited: Invited, progress: Message, *, call_id: str = "") -> None:
        """BYE in the early dialog of a 183."""
        fields = invited.fields("BYE", to=progress.get("To"))
        fields[0] = ("Via", f"{invited.via}bye")
        fields[-2] = ("Call-ID", call_id or invited.call_id)
        fields[-1] = ("CSeq", f"{invited.cseq + 1} BYE")
        self.send(f"BYE {progress.get('Contact').strip('<>')} SIP/2.0", fields)

    def cancel(self, invited: Invited, *more: tuple[str, str]) -> None:
        """The caller hangs up."""
        self.send(f"CANCEL {invited.uri} SIP/2.0", [*invited.fields("CANCEL"), *more])

    def confirm(self, invited: Invited, progress: Message, *, body: str = "") -> None:
        """PRACK (RFC 3262) of a reliable 183."""
        fields = invited.fields("PRACK", to=progress.get("To"))
        fields[0] = ("Via", f"{invited.via}prack")
        fields[-1] = ("CSeq", f"{invited.cseq + 1} PRACK")
        fields.append(("RAck", f"{progress.get('RSeq')} {invited.cseq} INVITE"))
        if body:
            fields.append(("Content-Type", "application/sdp"))
        self.send(f"PRACK {progress.get('Contact').strip('<>')} SIP/2.0", fields, body)

    async def final(self, invited: Invited, seconds: float = 60) -> Message:
        """The final answer to an INVITE, which is acknowledged."""

        def fits(message: Message) -> bool:
            of_it = message.get("Call-ID") == invited.call_id and message.get("Via") == invited.via
            return of_it and message.status >= 200 and message.get("CSeq").endswith("INVITE")

        answer = await self.peer.expect(fits, seconds)
        self.send(f"ACK {invited.uri} SIP/2.0", invited.fields("ACK", to=answer.get("To")))
        return answer

    def request(self, method: str, uri: str, *more: tuple[str, str], body: str = "", to_tag: str = "") -> None:
        """Some other request."""
        number = next(_numbers)
        fields = [
            ("Via", f"SIP/2.0/UDP {self.peer.address};branch=z9hG4bKother{number}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:proxy@{self.peer.address}>;tag=p{number}"),
            ("To", f"<{uri}>" + (f";tag={to_tag}" if to_tag else "")),
            ("Call-ID", f"other-{number}"),
            ("CSeq", f"1 {method}"),
            *more,
        ]
        self.send(f"{method} {uri} SIP/2.0", fields, body)

    def send(self, start: str, fields: list[tuple[str, str]], body: str = "") -> None:
        """To the application server."""
        self.peer.send(write(start, fields, body), self.server)

    # registration events ----------------------------------------------------------------------------------------------

    async def subscribed(self) -> Watched:
        """The next SUBSCRIBE that begins a subscription, not one that came again; nothing is answered."""

        def is_new(message: Message) -> bool:
            return message.method == "SUBSCRIBE" and not message.to_tag and message.get("Via") not in self._subscribes

        first = await self.peer.expect(is_new)
        self._subscribes.add(first.get("Via"))
        return Watched(first, f"n{next(_numbers)}")

    def answer(self, watched: Watched, status: int, *more: tuple[str, str], request: Message | None = None) -> None:
        """Answers a SUBSCRIBE: the first one, or a later one of the same dialog."""
        request = request or watched.request
        fields = [(name, request.get(name)) for name in ("Via", "From", "Call-ID", "CSeq")]
        own = [("To", watched.to), ("Contact", f"<sip:{self.peer.address}>"), *more]
        if status < 300:
            own.append(("Expires", request.get("Expires")))
        self.send(f"SIP/2.0 {status} Said", [*fields, *own])

    def notify(
        self, watched: Watched, body: str = "", state: str = "active;expires=60", *, event: str = "reg", tag: str = ""
    ) -> None:
        """Sends the next NOTIFY of the subscription; `tag`: as if from another dialog."""
        watched.cseq += 1
        target = watched.request.get("Contact").strip("<>")
        fields = [
            ("Via", f"SIP/2.0/UDP {self.peer.address};branch=z9hG4bKnotify{next(_numbers)}"),
            ("Max-Forwards", "70"),
            ("From", watched.to.replace(watched.tag, tag or watched.tag)),
            ("To", watched.request.get("From")),
            ("Call-ID", watched.request.get("Call-ID")),
            ("CSeq", f"{watched.cseq} NOTIFY"),
            ("Contact", f"<sip:{self.peer.address}>"),
            ("Event", event),
            ("Subscription-State", state),
        ]
        if body:
            fields.append(("Content-Type", "application/reginfo+xml"))
        found = _ADDRESS.search(target)
        assert found is not None, target
        self.peer.send(write(f"NOTIFY {target} SIP/2.0", fields, body), (found[1], int(found[2])))

    async def answered(self, method: str) -> int:
        """The status of the next answer to a request of this method."""
        answer = await self.peer.expect(
            lambda message: message.status >= 200 and message.get("CSeq").endswith(f" {method}")
        )
        return answer.status

    async def watch(self, *contacts: str) -> Watched:
        """The next SUBSCRIBE is accepted, and its first NOTIFY tells of these contacts."""
        watched = await self.subscribed()
        self.answer(watched, 200)
        self.notify(watched, reginfo(*contacts))
        assert await self.answered("NOTIFY") == 200
        return watched

    async def unsubscribed(self, watched: Watched) -> Message:
        """The SUBSCRIBE that ends the subscription; it is answered, and the last NOTIFY follows."""
        last = await self.peer.expect(
            lambda m: (
                m.method == "SUBSCRIBE"
                and m.get("Call-ID") == watched.request.get("Call-ID")
                and m.get("Expires") == "0"
            )
        )
        self.answer(watched, 200, request=last)
        return last
