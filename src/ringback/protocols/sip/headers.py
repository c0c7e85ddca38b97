"""What stands in single header fields: Via, addresses, CSeq, lists and parameters. Source: RFC 3261 §7.3, §20, §25.1.

All functions take a value on one line (folding is undone by `Headers`), cost time linear in its length, and raise
SipMalformed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.uri import STEERING, SipUri, host_port, parse_host_port, parse_uri

TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]"  # noqa: S105
_TOKEN: Final = re.compile(TOKEN + "++")
# What is quoted or in angle brackets is stepped over as a whole; where it is not closed, it goes on to the end.
_COMMAS: Final = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?|<[^>]*+>?|,')
_SEMICOLONS: Final = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?|;')
_QUOTED: Final = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_VIA: Final = re.compile(rf"SIP[ \t]*+/[ \t]*+[0-9.]++[ \t]*+/[ \t]*+({TOKEN}++)[ \t]++([^;]++)", re.IGNORECASE)
_USUAL_ADDRESS: Final = re.compile(rf'(?:"([^"\\]*+)"[ \t]*+|([^"<> \t]*+) ?)<([^<>" \t]++)>(?:;tag=({TOKEN}++))?')
_AROUND_COLON: Final = re.compile(r"[ \t]*:[ \t]*")
_IP_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]++|\[[0-9A-Fa-f:.]++\]")
_NEVER_IN_A_URI: Final = frozenset(' \t"<>')
_LONGEST_PLACE: Final = 300
_CSEQ: Final = re.compile(rf"([0-9]{{1,10}}+)[ \t]++({TOKEN}++)")
_NO_TEXT: Final = re.compile(rf"[\x00-\x08\x0a-\x1f{STEERING}\udc80-\udcff]")


class Via(msgspec.Struct, frozen=True, gc=False):
    """One hop (§20.42). transport: in upper case. host: in lower case, IPv6 without brackets."""

    transport: str
    host: str
    port: int | None
    parameters: dict[str, str | None]

    @property
    def branch(self) -> str:
        """The branch, "" when there is none."""
        return self.parameters.get("branch") or ""

    @property
    def received(self) -> str | None:
        """The address that the request came from, where that is not `host`; IPv6 without brackets."""
        found = self.parameters.get("received")
        return found.strip("[]") if found else None

    @property
    def rport(self) -> int | None:
        """The port that the request came from (RFC 3581), once somebody filled it in."""
        found = self.parameters.get("rport")
        return int(found) if found and len(found) <= 5 and found.isascii() and found.isdigit() else None

    @property
    def sent_by(self) -> str:
        """`host[:port]`."""
        return host_port(self.host, self.port)

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {self.sent_by}{write_parameters(self.parameters)}"


class NameAddress(msgspec.Struct, frozen=True, gc=False):
    """A name and a URI: From, To, Contact, Route… (§20.10).

    display_name: without quotes, fit to be shown. uri: its text, "*" in `Contact: *`. parameters: those of the header
    field, names in lower case, values without their quotes.
    """

    display_name: str
    uri: str
    parameters: dict[str, str | None]

    @property
    def sip_uri(self) -> SipUri:
        """The URI in its parts. Raises SipMalformed."""
        return parse_uri(self.uri)

    @property
    def tag(self) -> str | None:
        """The tag, None when there is none."""
        return self.parameters.get("tag")

    def __str__(self) -> str:
        name = f"{quoted(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>{write_parameters(self.parameters)}"


class CSeq(msgspec.Struct, frozen=True, gc=False):
    """Number and method of a request (§20.16)."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def is_word_of_a_header(text: str) -> bool:
    """Whether it is a `token` of the grammar: what methods, names of header fields and parameters are made of."""
    return _TOKEN.fullmatch(text) is not None


def shown(text: str) -> str:
    """A text that people and databases can take: bytes that are no UTF-8 are read as Latin-1.

    Other such bytes, control characters and what steers a terminal become "?".
    """
    if text.isascii() and text.isprintable():
        return text
    return _NO_TEXT.sub(lambda one: chr(byte) if (byte := ord(one[0]) - 0xDC00) >= 0xA0 else "?", text)


def quoted(text: str) -> str:
    """A quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_parameters(text: str) -> list[str]:
    """What stands between the semicolons outside quotes, without white space around, nothing empty."""
    if '"' not in text:
        return [part for one in text.split(";") if (part := one.strip(" \t"))]
    return _split(text, _SEMICOLONS, ";")


def unquoted(text: str) -> str:
    """The content of a quoted-string; other text unchanged. Raises SipMalformed when the quotes are not closed."""
    if not text.startswith('"'):
        return text
    inside = _QUOTED.fullmatch(text)
    if inside is None:
        raise SipMalformed("Malformed Quoted String")
    return _ESCAPED.sub(r"\1", inside[1]) if "\\" in inside[1] else inside[1]


def split_elements(value: str) -> list[str]:
    """The elements of a list, between the commas outside quotes and angle brackets; stripped, none of them empty."""
    if "," not in value:
        value = value.strip(" \t")
        return [value] if value else []
    return _split(value, _COMMAS, ",")


def parse_parameters(text: str) -> dict[str, str | None]:
    """`;name=value;flag`, or nothing: names in lower case, values without quotes; no name twice (§7.3.1)."""
    found: dict[str, str | None] = {}
    if not text:
        return found
    if text[0] != ";":
        raise SipMalformed("Malformed Parameter")
    for part in split_parameters(text):
        name, equals, value = part.partition("=")
        name = name.strip(" \t").lower()
        if name in found:
            raise SipMalformed("Repeated Parameter")
        if not name.isalnum() and not _TOKEN.fullmatch(name):
            if name or equals:
                raise SipMalformed("Malformed Parameter")
            continue
        value = value.strip(" \t")
        found[name] = (unquoted(value) if value[:1] == '"' else value) if equals else None
    return found


def write_parameters(parameters: dict[str, str | None]) -> str:
    """The text of parameters; values that are no token and no address are quoted."""
    return "".join(
        f";{name}" if value is None else f";{name}={value if _plain(value) else quoted(value)}"
        for name, value in parameters.items()
    )


def parse_via(value: str) -> Via:
    """One element of Via."""
    way, semicolon, parameters = value.partition(";")
    if len(way) > _LONGEST_PLACE:
        raise SipMalformed("Malformed Via")
    transport, host, port = _way_of(way)
    return Via(transport, host, port, parse_parameters(semicolon + parameters))


@lru_cache(maxsize=1024)
def _way_of(text: str) -> tuple[str, str, int | None]:
    """Transport, host and port of a Via. Remembered, since the same proxies write it again and again."""
    found = _VIA.fullmatch(text)
    if found is None:
        raise SipMalformed("Malformed Via")
    transport, place = found.groups()
    if " " in place or "\t" in place:
        place = _AROUND_COLON.sub(":", place.strip(" \t"))
    host, port = parse_host_port(place)
    return transport.upper(), host, port


def parse_name_address(value: str) -> NameAddress:
    """One address: `"Name" <uri>;parameters`, `Name <uri>`, `<uri>`, or a URI alone: its parameters are the field's."""
    usual = _USUAL_ADDRESS.fullmatch(value)
    if usual is not None:
        title, word, uri, tag = usual.groups()
        return NameAddress(shown(title or word or ""), uri, {} if tag is None else {"tag": tag})
    value = value.strip(" \t")
    name = ""
    if value[:1] == '"':
        inside = _QUOTED.match(value)
        if inside is None:
            raise SipMalformed("Malformed Display Name")
        name, value = shown(unquoted(inside[0])), value[inside.end() :].lstrip(" \t")
        if value[:1] != "<":
            raise SipMalformed("Malformed Address")
    start = value.find("<")
    if start < 0:
        uri, semicolon, parameters = value.partition(";")
        uri = uri.rstrip(" \t")
        if "?" in uri or "," in uri or not uri:  # such a URI needs its angle brackets (§20.10)
            raise SipMalformed("Malformed Address")
        return NameAddress("", _checked_uri(uri), parse_parameters(semicolon + parameters))
    end = value.find(">", start)
    if end < 0:
        raise SipMalformed("Malformed Address")
    if start:
        name = shown(value[:start].strip(" \t"))
    return NameAddress(name, _checked_uri(value[start + 1 : end]), parse_parameters(value[end + 1 :].lstrip(" \t")))


def parse_tag(value: str) -> str | None:
    """The tag of From or To, None when there is none. An empty one is malformed, as all else in the value is."""
    usual = _USUAL_ADDRESS.fullmatch(value)
    if usual is not None:
        found: str | None = usual[4]
        return found
    parameters = parse_name_address(value).parameters
    if parameters.get("tag", "-") in {None, ""}:
        raise SipMalformed("Malformed Tag")
    return parameters.get("tag")


def parse_cseq(value: str) -> CSeq:
    """CSeq; the number stays below 2**31 (§8.1.1.5)."""
    found = _CSEQ.fullmatch(value)
    if found is None or (number := int(found[1])) >= 2**31:
        raise SipMalformed("Malformed CSeq")
    return CSeq(number, found[2])


def parse_number(value: str, largest: int) -> int | None:
    """A number of header fields such as Expires, at most `largest`; None when it is none or larger."""
    if 0 < len(value) <= 10 and value.isascii() and value.isdigit() and (number := int(value)) <= largest:
        return number
    return None


def _checked_uri(uri: str) -> str:
    if not uri or not _NEVER_IN_A_URI.isdisjoint(uri):
        raise SipMalformed("Malformed Address")
    return uri


def _plain(value: str) -> bool:
    return _TOKEN.fullmatch(value) is not None or _IP_ADDRESS.fullmatch(value) is not None


def _split(value: str, pattern: re.Pattern[str], separator: str) -> list[str]:
    found, start = [], 0
    for one in pattern.finditer(value):
        if one[0] == separator:
            found.append(value[start : one.start()].strip(" \t"))
            start = one.end()
    found.append(value[start:].strip(" \t"))
    return [part for part in found if part]
