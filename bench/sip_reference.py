"""The reference of `bench.sip`: sippy's own state machine holds a call for a second and gives it back.

`python -m bench.sip_reference PORT`; INVITE -> 100, 183 with SDP, one second later 302.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("SIPLOG_BEND", "none")

from sippy.CCEvents import (  # type: ignore[import-untyped]
    CCEventDisconnect,
    CCEventFail,
    CCEventRedirect,
    CCEventRing,
    CCEventTry,
)
from sippy.Core.EventDispatcher import ED2  # type: ignore[import-untyped]
from sippy.MsgBody import MsgBody  # type: ignore[import-untyped]
from sippy.SipAddress import SipAddress  # type: ignore[import-untyped]
from sippy.SipConf import SipConf  # type: ignore[import-untyped]
from sippy.SipTransactionManager import SipTransactionManager  # type: ignore[import-untyped]
from sippy.SipURL import SipURL  # type: ignore[import-untyped]
from sippy.Time.Timeout import Timeout  # type: ignore[import-untyped]
from sippy.UA import UA  # type: ignore[import-untyped]

HOST = "127.0.0.1"
HOLD_SECONDS = 1.0
SDP = (
    f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendonly\r\n"
)


class _NoLog:
    def write(self, *_: Any, **__: Any) -> None:
        """Nothing is written."""


class _Call:
    def __init__(self, shared: dict[str, Any]) -> None:
        self.user_agent = UA(shared, self.hear)
        self._timer: Any = None
        self._callee = ""

    def hear(self, event: Any, user_agent: Any) -> None:
        """What the state machine tells."""
        if isinstance(event, CCEventTry):
            self._callee = event.getData()[2]
            user_agent.recvEvent(CCEventRing((183, "Session Progress", MsgBody(SDP))))
            self._timer = Timeout(self._give_back, HOLD_SECONDS)
        elif isinstance(event, CCEventDisconnect | CCEventFail) and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_back(self) -> None:
        self._timer = None
        contact = SipAddress(url=SipURL(username=self._callee, host=HOST, port=5060))
        self.user_agent.recvEvent(CCEventRedirect((302, "Moved Temporarily", None, (contact,))))


def main(port: int) -> None:
    """Serves until it is killed."""
    SipConf.my_address, SipConf.my_port = HOST, port
    shared: dict[str, Any] = {"_sip_address": HOST, "_sip_port": port, "_sip_logger": _NoLog()}

    def receive(request: Any, transaction: Any) -> Any:
        if request.getMethod() != "INVITE":
            return request.genResponse(501, "Not Implemented"), None, None
        return _Call(shared).user_agent.recvRequest(request, transaction)

    shared["_sip_tm"] = SipTransactionManager(shared, receive)
    ED2.loop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
