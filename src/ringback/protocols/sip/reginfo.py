"""Who is registered: `application/reginfo+xml`, which NOTIFYs of `Event: reg` carry. Source: RFC 3680 §5, RFC 5628.

The document comes from the network: a document type, and with it entities, is refused, size and depth have limits.
"""

from __future__ import annotations

from typing import Final
from xml.parsers.expat import ExpatError, ParserCreate

import msgspec

from ringback.protocols.sip.errors import SipMalformed
from ringback.protocols.sip.headers import parse_number

LARGEST: Final = 65_536
"""Bytes. A contact takes about 400."""
_DEEPEST: Final = 8
_SPACE: Final = "urn:ietf:params:xml:ns:reginfo"
_STATES: Final = frozenset({"init", "active", "terminated"})
_EVER: Final = 2**32 - 1


class RegisteredContact(msgspec.Struct, frozen=True):
    """One contact. state: "active" or "terminated". event: what moved it last ("registered", "expired"…).

    expires: seconds left. instance: the value of +sip.instance, with its angle brackets. aor: whose it is.
    """

    id: str
    uri: str
    state: str
    event: str = ""
    expires: int | None = None
    instance: str | None = None
    call_id: str | None = None
    cseq: int | None = None
    aor: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it can be called."""
        return self.state == "active"


class RegInfo(msgspec.Struct, frozen=True):
    """A document. aor: of the first registration, "" without any. state: "full", or "partial": only what changed.

    contacts: those of all registrations; a registration that ended, or has not begun, has none that is active.
    """

    aor: str
    version: int
    state: str
    contacts: tuple[RegisteredContact, ...]

    @property
    def is_active(self) -> bool:
        """Whether somebody can be called."""
        return any(contact.is_active for contact in self.contacts)


def parse_reginfo(body: bytes) -> RegInfo:
    """Reads a document. Raises SipMalformed."""
    if len(body) > LARGEST:
        raise SipMalformed("Registration Information Too Large")
    reader = _Reader()
    parser = ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = reader.document_type
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(body, True)
    except (ExpatError, UnicodeError, LookupError, ValueError) as error:
        raise error if isinstance(error, SipMalformed) else SipMalformed("Malformed Registration Information") from None
    if reader.version is None:
        raise SipMalformed("Malformed Registration Information")
    return RegInfo(reader.first_aor, reader.version, reader.state, tuple(reader.contacts))


class _Reader:
    def __init__(self) -> None:
        self.version: int | None = None
        self.state = "full"
        self.first_aor = ""
        self.contacts: list[RegisteredContact] = []
        self._path: list[str] = []
        self._aor = ""
        self._ended = False
        self._contact: dict[str, str] = {}
        self._instance: str | None = None
        self._uri = ""
        self._words: list[str] | None = None

    def document_type(self, *_: object) -> None:
        raise SipMalformed("Document Type In Registration Information")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        self._path.append(local if space in {"", _SPACE} else "")
        if len(self._path) > _DEEPEST:
            raise SipMalformed("Registration Information Too Deep")
        match self._path:
            case ["reginfo"]:
                self.version = parse_number(attributes.get("version", ""), _EVER)
                self.state = attributes.get("state", "full")
                if self.version is None or self.state not in {"full", "partial"}:
                    raise SipMalformed("Malformed Registration Information")
            case ["reginfo", "registration"]:
                self._aor = attributes.get("aor", "")
                self._ended = attributes.get("state") != "active"
                self.first_aor = self.first_aor or self._aor
                if attributes.get("state") not in _STATES:
                    raise SipMalformed("Malformed Registration Information")
            case ["reginfo", "registration", "contact"]:
                self._contact, self._uri, self._instance = attributes, "", None
                if attributes.get("state") not in _STATES:
                    raise SipMalformed("Malformed Registration Information")
            case ["reginfo", "registration", "contact", "uri"]:
                self._words = []
            case ["reginfo", "registration", "contact", "unknown-param"]:
                self._words = [] if attributes.get("name", "").lower() == "+sip.instance" else None
            case _:
                pass

    def text(self, words: str) -> None:
        if self._words is not None:
            self._words.append(words)

    def end(self, _: str) -> None:
        match self._path:
            case ["reginfo", "registration", "contact"]:
                self.contacts.append(self._made())
            case ["reginfo", "registration", "contact", "uri"]:
                self._uri = "".join(self._words or ()).strip()
            case ["reginfo", "registration", "contact", "unknown-param"] if self._words is not None:
                self._instance = "".join(self._words).strip().strip('"')
            case _:
                pass
        self._words = None if len(self._path) <= 4 else self._words
        self._path.pop()

    def _made(self) -> RegisteredContact:
        found = self._contact
        if not self._uri:
            raise SipMalformed("Malformed Registration Information")
        return RegisteredContact(
            id=found.get("id", ""),
            uri=self._uri,
            state="terminated" if self._ended else found["state"],
            event=found.get("event", ""),
            expires=parse_number(found.get("expires", ""), _EVER),
            instance=self._instance,
            call_id=found.get("callid"),
            cseq=parse_number(found.get("cseq", ""), _EVER),
            aor=self._aor,
        )
