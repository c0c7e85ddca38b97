"""Small XML answers, for APIs whose clients read nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

import msgspec

MEDIA_TYPE = "application/xml"
MEDIA_TYPES = frozenset({MEDIA_TYPE, "text/xml"})
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document can hold, not even as a reference (§2.2)."""


class XmlError(msgspec.Struct, frozen=True, omit_defaults=True):
    """`<error>`: the code that a program reads, the sentence that a person reads, the field that is wrong."""

    code: str
    message: str
    field: str | None = None


class XmlErrors(msgspec.Struct, frozen=True):
    """`<errors>`: the body of every refusal."""

    error: XmlError


def xml_document(name: str, attributes: Iterable[tuple[str, str]], children: Iterable[tuple[str, str]]) -> bytes:
    """One element with attributes and children of text, in UTF-8."""
    head = "".join(f" {key}={quoteattr(_clean(value))}" for key, value in attributes)
    return f"{_DECLARATION}\n<{name}{head}>{_elements(children)}</{name}>\n".encode()


def xml_errors(error: XmlError) -> bytes:
    """`<errors><error>…</error></errors>`."""
    children = [("code", error.code), ("message", error.message)]
    if error.field is not None:
        children.append(("field", error.field))
    return f"{_DECLARATION}\n<errors><error>{_elements(children)}</error></errors>\n".encode()


def _elements(children: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<{name}>{escape(_clean(text))}</{name}>" for name, text in children)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
