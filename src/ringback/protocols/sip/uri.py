"""SIP, SIPS and tel URIs. Source: RFC 3261 §19.1, §25.1; RFC 3966."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import msgspec

from ringback.protocols.sip.errors import SipMalformed

_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,255}+")
_IPV6: Final = re.compile(r"\[([0-9A-Fa-f:.]{2,45}+)\]")
STEERING: Final = r"\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""In a class of a regular expression: what moves the cursor of a terminal, ends a line or turns the direction of text,
beside the control characters of ASCII."""
_USER: Final = re.compile(rf"[^\x00-\x20\"<>@:{STEERING}\ud800-\udfff]++")
_REST: Final = re.compile(rf"[^\x00-\x20\"<>@{STEERING}\ud800-\udfff]*+")
_CONTROL: Final = re.compile(rf"[\x00-\x1f{STEERING}]")
_LONGEST_PLACE: Final = 264
_NEVER_IGNORED: Final = ("user", "ttl", "method", "maddr", "transport")


class SipUri(msgspec.Struct, frozen=True, gc=False):
    """A URI in its parts.

    scheme: "sip", "sips" or "tel". user: as written, with its escapes, "" when there is none; of tel: the number.
    host: in lower case, IPv6 without brackets, "" of tel. port: 1–65535. parameters: names in lower case, values as
    written, None for a flag. headers: what stands after "?", as written.
    """

    scheme: str
    user: str
    host: str
    port: int | None = None
    parameters: dict[str, str | None] = {}
    headers: str = ""
    password: str | None = None

    def __str__(self) -> str:
        parts = [self.scheme, ":", self.user]
        if self.password is not None:
            parts += ":", self.password
        if self.scheme != "tel":
            if self.user:
                parts.append("@")
            parts.append(host_port(self.host, self.port))
        for name, value in self.parameters.items():
            parts.append(f";{name}" if value is None else f";{name}={value}")
        if self.headers:
            parts += "?", self.headers
        return "".join(parts)

    @property
    def aor(self) -> str:
        """`user@host`, the user without its escapes, no port; `host` alone without a user; of tel: the number."""
        user = _unescaped(self.user)
        if self.scheme == "tel":
            return user
        return f"{user}@{host_port(self.host)}" if user else host_port(self.host)

    @property
    def username(self) -> str:
        """The user without its escapes."""
        return _unescaped(self.user)


def host_port(host: str, port: int | None = None) -> str:
    """`host` or `host:port`, IPv6 in brackets: the form of URIs and Via."""
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


def parse_uri(text: str) -> SipUri:
    """Reads a URI without angle brackets. Raises SipMalformed, also for other schemes (then `status` is 416).

    Escapes in the user must be UTF-8 and no control characters, so that a user can be shown and looked up. Nothing that
    steers a terminal is in any part of it.
    """
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or not scheme:
        raise SipMalformed("Malformed URI")
    if scheme not in {"sip", "sips", "tel"}:
        raise SipMalformed("Unsupported URI Scheme", status=416)
    if scheme == "tel":
        number, _, parameters = rest.partition(";")
        return SipUri(scheme, _user(number), "", parameters=_parameters(parameters))
    userinfo, at, rest = rest.rpartition("@")
    user, password = "", None
    if at:
        user, colon, secret = userinfo.partition(":")
        user, password = _user(user), secret if colon else None
        if password is not None and not _REST.fullmatch(password):
            raise SipMalformed("Malformed URI")
    rest, _, headers = rest.partition("?")
    place, _, parameters = rest.partition(";")
    if not _REST.fullmatch(headers):
        raise SipMalformed("Malformed URI")
    host, port = parse_host_port(place)
    return SipUri(scheme, user, host, port, _parameters(parameters), headers, password)


def parse_host_port(text: str) -> tuple[str, int | None]:
    """`host[:port]` as (host in lower case and without brackets, port or None). Raises SipMalformed."""
    if len(text) > _LONGEST_PLACE:
        raise SipMalformed("Malformed Host")
    return _place(text)


def parse_port(text: str) -> int:
    """1–65535. Raises SipMalformed."""
    if 0 < len(text) <= 5 and text.isascii() and text.isdigit() and 0 < (port := int(text)) < 65536:
        return port
    return _refuse_port()


@lru_cache(maxsize=1024)
def _place(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        six = _IPV6.match(text)
        if six is None:
            raise SipMalformed("Malformed Host")
        host, rest = six[1].lower(), text[six.end() :]
    else:
        host, colon, port = text.partition(":")
        rest, host = colon + port, host.lower()
        if not _HOST.fullmatch(host):
            raise SipMalformed("Malformed Host")
    if not rest:
        return host, None
    return host, parse_port(rest[1:]) if rest[0] == ":" else _refuse_port()


def same_address(one: SipUri, other: SipUri) -> bool:
    """Whether two URIs mean the same. Source: RFC 3261 §19.1.4; its example makes `transport` one that counts."""
    if (one.scheme, one.host, one.port) != (other.scheme, other.host, other.port):
        return False
    if one.username != other.username or one.password != other.password:
        return False
    for name in one.parameters.keys() | other.parameters.keys():
        if name in one.parameters and name in other.parameters:
            if (one.parameters[name] or "").lower() != (other.parameters[name] or "").lower():
                return False
        elif name in _NEVER_IGNORED:
            return False
    return sorted(one.headers.lower().split("&")) == sorted(other.headers.lower().split("&"))


def same_text(one: str, other: str) -> bool:
    """The same for URIs as they were written. One that cannot be read is the same as itself only."""
    if one == other:
        return True
    try:
        return same_address(parse_uri(one), parse_uri(other))
    except SipMalformed:
        return False


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise SipMalformed("Malformed URI")
    if "%" in text:
        try:
            plain = unquote(text, errors="strict")
        except UnicodeDecodeError:
            raise SipMalformed("Malformed URI") from None
        if _CONTROL.search(plain):
            raise SipMalformed("Malformed URI")
    return text


def _unescaped(user: str) -> str:
    return unquote(user) if "%" in user else user


def _parameters(text: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    if not text:
        return found
    if not _REST.fullmatch(text):
        raise SipMalformed("Malformed URI")
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if (name := name.lower()) in found:
            raise SipMalformed("Repeated URI Parameter")
        if name:
            found[name] = value if equals else None
        elif equals:
            raise SipMalformed("Malformed URI")
    return found


def _refuse_port() -> int:
    raise SipMalformed("Malformed Port")
