"""XML answers, read by a parser that is not ours."""

from __future__ import annotations

import xml.etree.ElementTree as ET


def texts(content: bytes, root: str) -> dict[str, str]:
    """The text of each child of the one element in a document."""
    document = ET.fromstring(content)  # noqa: S314 - our own server's
    assert document.tag == root
    return {child.tag: child.text or "" for child in document}


def refusal(content: bytes) -> dict[str, str]:
    """`code`, `message` and, where one is to blame, `field` of `<errors><error>`."""
    document = ET.fromstring(content)  # noqa: S314 - our own server's
    assert document.tag == "errors"
    (error,) = document
    assert error.tag == "error"
    return {child.tag: child.text or "" for child in error}
