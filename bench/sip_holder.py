"""Our side of `bench.sip`: the SIP endpoint holds a call for a second and gives it back, as the reference does.

`python -m bench.sip_holder PORT`; INVITE -> 100, 183 with SDP, one second later 302.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from ringback.protocols.sip.message import Request
from ringback.sip import IncomingRequest, SipAddress, SipEndpoint, SipLimits

HOST = "127.0.0.1"
HOLD_SECONDS = 1.0
SDP = (
    f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendonly\r\n"
).encode()


class Holder:
    """A `SipHandler`."""

    def on_request(self, incoming: IncomingRequest) -> None:
        """Every request is an INVITE here."""
        incoming.respond(183, body=SDP, content_type="application/sdp")
        contact = ("Contact", f"<{incoming.request.uri}>")
        asyncio.get_running_loop().call_later(HOLD_SECONDS, self._give_back, incoming, contact)

    def _give_back(self, incoming: IncomingRequest, contact: tuple[str, str]) -> None:
        incoming.respond(302, headers=[contact])

    def on_ack(self, ack: Request, source: SipAddress) -> None:
        """Of no call of ours."""


async def main(port: int) -> None:
    """Serves until it is killed."""
    endpoint = SipEndpoint(Holder(), limits=SipLimits(calls=100_000, transactions=500_000), trusted=["127.0.0.1"])
    await endpoint.listen("udp", HOST, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
