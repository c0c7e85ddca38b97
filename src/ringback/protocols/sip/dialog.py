"""Dialogs: whom the requests within one name, which way they go, and in what order they came.

Sources: RFC 3261 §12; RFC 6665 §4.4.1 (those that a NOTIFY makes). A forked INVITE has one for each To tag.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Self

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.header_fields import Headers, has_control
from ringback.protocols.sip.headers import parse_name_address, split_elements
from ringback.protocols.sip.message import Request, Response


class Dialog:
    """One dialog as one side sees it.

    local, remote: From and To of our requests, as written, tags included. target: the URI of the other side, from its
    Contact. routes: what stands in Route, first hop first. local_number: the number of our last request.
    """

    __slots__ = ("_remote_number", "call_id", "local", "local_number", "remote", "remote_tag", "routes", "target")

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        remote: str,
        remote_tag: str | None,
        target: str,
        routes: Iterable[str] = (),
        local_number: int = 0,
        remote_number: int | None = None,
    ) -> None:
        self.call_id = call_id
        self.local = _writable(local)
        self.remote = _writable(remote)
        self.remote_tag = remote_tag
        self.target = target
        self.routes = tuple(routes)
        self.local_number = local_number
        self._remote_number = remote_number

    @classmethod
    def as_caller(cls, request: Request, response: Response) -> Self:
        """From an answer to our request that has a To tag (§12.1.2). Raises SipMalformed."""
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            remote=response.headers.get("To") or "",
            remote_tag=response.to_tag,
            target=_contact_of(response) or request.uri,
            routes=reversed(_routes_of(response)),
            local_number=request.cseq.number,
        )

    @classmethod
    def as_callee(cls, request: Request, our_tag: str, *, local_number: int = 0) -> Self:
        """From a request of the other side (§12.1.1), which may be a NOTIFY. Raises SipMalformed."""
        local = request.headers.get("To") or ""
        return cls(
            call_id=request.call_id,
            local=local if request.to_tag else f"{local};tag={our_tag}",
            remote=request.headers.get("From") or "",
            remote_tag=request.from_tag,
            target=_contact_of(request) or request.from_.uri,
            routes=_routes_of(request),
            local_number=local_number,
            remote_number=request.cseq.number,
        )

    def takes(self, request: Request) -> bool:
        """Whether a request of the other side comes in order; those that do not are answered 500 (§12.2.2)."""
        number = request.cseq.number
        if self._remote_number is not None and number <= self._remote_number:
            return False
        self._remote_number = number
        return True

    def moved(self, message: Request | Response) -> None:
        """A request of theirs, or an answer to ours, that may name a new Contact (§12.2.1.2, §12.2.2)."""
        self.target = _contact_of(message) or self.target

    @property
    def first_hop(self) -> str:
        """The URI that decides where requests go: the first route, else the target."""
        return parse_name_address(self.routes[0]).uri if self.routes else self.target

    def request(
        self, method: str, *, number: int | None = None, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Request:
        """A request of ours (§12.2.1.1). `number`: of an ACK, that of its INVITE; else the next one."""
        if number is None:
            self.local_number += 1
            number = self.local_number
        uri, routes = self.target, self.routes
        if routes and not _is_loose(routes[0]):  # a strict router of RFC 2543: it is asked itself
            uri, routes = parse_name_address(routes[0]).uri, (*routes[1:], f"<{self.target}>")
        made = Headers()
        for route in routes:
            made.add("Route", route)
        made.add("From", self.local)
        made.add("To", self.remote)
        made.add("Call-ID", self.call_id)
        made.add("CSeq", f"{number} {method}")
        for name, value in headers:
            made.add(name, value)
        return Request(method, uri, made, body)


def _writable(address: str) -> str:
    """The same, unless its name has control characters, which are read and never written."""
    return str(parse_name_address(address)) if has_control(address) else address


def _contact_of(message: Request | Response) -> str | None:
    """The first Contact, when it is a URI that requests can go to."""
    return _uri_of(*message.headers.lines("Contact"))


@lru_cache(maxsize=256)
def _uri_of(*lines: str) -> str | None:
    """The same of the lines of Contact. Remembered, since a proxy has one for all its dialogs."""
    with contextlib.suppress(SipMalformed):
        for contact in [parse_name_address(element) for line in lines for element in split_elements(line)]:
            if contact.sip_uri.scheme in {"sip", "sips"}:
                return sys.intern(contact.uri)  # the same in most of the dialogs with one peer
    return None


def _routes_of(message: Request | Response) -> list[str]:
    """Record-Route as it goes into Route. Raises SipMalformed, so that a dialog never has a way that cannot be gone."""
    routes = message.headers.elements("Record-Route")
    for route in routes:
        parse_name_address(route)
    return routes


def _is_loose(route: str) -> bool:
    try:
        return "lr" in parse_name_address(route).sip_uri.parameters
    except SipMalformed:  # another kind of URI
        return True
