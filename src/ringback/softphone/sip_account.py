"""A SIP account: who the phone is, its password, and where its server is."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.uri import parse_uri
from ringback.softphone.errors import SipAccountRefused

_SERVER = re.compile(
    r"(?:sips?:)?(?P<host>\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?(?:;transport=(?P<transport>udp|tcp|tls))?",
    re.IGNORECASE,
)
_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
_MOST_PORT = 65535


class ServerAddress(NamedTuple):
    """Where a SIP server is reached."""

    transport: Literal["udp", "tcp", "tls"]
    host: str
    port: int


class SipAccount(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An account at a SIP server.

    `uri`: `sip:user@domain`. `server`: HOST[:PORT][;transport=tcp|tls]. `instance`: the phone's `+sip.instance`
    (RFC 5626 §4.1), by which a server knows it again. `username`: for digest, where it is not the user of the URI.
    """

    uri: str
    server: str
    password: str = ""
    username: str = ""
    instance: str = ""
    display_name: str = ""

    def __repr__(self) -> str:
        """Without the password."""
        return f"SipAccount({self.uri} at {self.server})"

    @property
    def user(self) -> str:
        """What stands before the @."""
        return parse_uri(self.uri).user

    @property
    def domain(self) -> str:
        """What stands behind it."""
        return parse_uri(self.uri).host

    @property
    def digest_username(self) -> str:
        """Whose password it is."""
        return self.username or self.user

    @property
    def address(self) -> ServerAddress:
        """Where the server is."""
        return read_server(self.server)


def checked_account(account: SipAccount) -> SipAccount:
    """The same, when it can be used. Raises SipAccountRefused."""
    read_address(account.uri)
    read_server(account.server)
    return account


def read_address(text: str) -> str:
    """A SIP address as people type it, `bob@example.org` too. Raises SipAccountRefused."""
    whole = text if text.lower().startswith(("sip:", "sips:")) else f"sip:{text}"
    try:
        uri = parse_uri(whole)
    except SipMalformed as error:
        raise SipAccountRefused(f"{text!r} is no SIP address; it looks like sip:alice@example.org") from error
    if not uri.user or not uri.host or uri.password is not None:
        raise SipAccountRefused(f"{text!r} is no SIP address; it looks like sip:alice@example.org")
    return whole


def read_server(text: str) -> ServerAddress:
    """HOST[:PORT][;transport=udp|tcp|tls], `udp` where nothing is said. Raises SipAccountRefused."""
    found = _SERVER.fullmatch(text.strip())
    transport = (found["transport"] or "udp").lower() if found else "udp"
    port = int(found["port"] or _PORTS[transport]) if found else 0
    if found is None or not 0 < port <= _MOST_PORT:
        raise SipAccountRefused(f"{text!r} is no SIP server; it looks like sip.example.org:5060;transport=tcp")
    return ServerAddress(transport, found["host"].strip("[]"), port)  # type: ignore[arg-type]  # one of the three
