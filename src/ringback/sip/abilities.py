"""Which methods and extensions an endpoint understands, and how it refuses the others. Source: RFC 3261 §8.2, §11.2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.message import Request
from ringback.sip.counters import Reason

Refusal: TypeAlias = tuple[Reason, int, list[tuple[str, str]]]
"""Why a request is refused, the status, and header fields that explain it."""
_KNOWN_METHODS: Final = frozenset({
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER",
    "MESSAGE", "UPDATE",
})  # fmt: skip
_ALWAYS: Final = ("INVITE", "ACK", "CANCEL", "PRACK", "OPTIONS")


class Abilities:
    """Those of one endpoint. `allow`: the value of Allow. methods: None = all that are known."""

    def __init__(self, methods: Sequence[str] | None, extensions: Sequence[str]) -> None:
        self.allow = ", ".join(dict.fromkeys((*_ALWAYS, *(sorted(_KNOWN_METHODS) if methods is None else methods))))
        self._methods = None if methods is None else frozenset(methods)
        self._supported = ", ".join(extensions)
        self._extensions = {one.lower() for one in extensions}

    @property
    def answers_options(self) -> bool:
        """Whether OPTIONS is answered without asking the handler."""
        return self._methods is None or "OPTIONS" not in self._methods

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What the 200 to OPTIONS says."""
        return [("Allow", self.allow), ("Accept", "application/sdp"), ("Supported", self._supported)]

    def refusal(self, request: Request) -> Refusal | None:
        """Method, what is asked about, and extensions (§8.2.1, §8.2.2.1, §8.2.2.3)."""
        method = request.method
        if method not in _KNOWN_METHODS:
            return "method", 501, [("Allow", self.allow)]
        if self._methods is not None and method not in self._methods and method not in {"OPTIONS", "PRACK"}:
            return "method", 405, [("Allow", self.allow)]
        if method == "OPTIONS":  # whatever else has an answer of its own looks at its URI itself
            try:
                _ = request.request_uri
            except SipMalformed as malformed:
                return "malformed", malformed.status, []
        if "Require" not in request.headers:
            return None
        unknown = [one for one in request.headers.elements("Require") if one.lower() not in self._extensions]
        return ("extension", 420, [("Unsupported", ", ".join(unknown))]) if unknown else None
