"""Why a SIP server is not there, in words for whoever holds the phone, and what to look at."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ringback.sip import SipTimeout
from ringback.softphone.errors import SipServerUnreachable

if TYPE_CHECKING:
    from ringback.sip import SipAddress


def unreachable(to: SipAddress, error: Exception) -> SipServerUnreachable:
    """What is told when nothing could be sent there, or nothing came back."""
    if isinstance(error, SipTimeout):
        said = f"The SIP server at {to} does not answer. Check --server and that it runs."
    elif isinstance(error, socket.gaierror):
        said = f"The name of the SIP server {to} is not known. Check --server."
    else:
        reason = str(error).rstrip(".")
        check = "Check --server, and --ca-file" if to.transport == "tls" else "Check --server and that it runs"
        said = f"The SIP server at {to} cannot be reached. {reason}. {check}."
    return SipServerUnreachable(said, cause=error)
