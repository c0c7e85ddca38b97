"""The little of DER (X.690 §8, §10) that is needed to look into what a library is given before it is given it."""

from __future__ import annotations

from collections.abc import Iterator

INTEGER, OCTET_STRING, UTF8_STRING, SEQUENCE = 0x02, 0x04, 0x0C, 0x30
_CONSTRUCTED = 0x20
_DEEPEST = 24


class DerMalformed(ValueError):
    """These bytes are not DER, or end too early."""


def items(data: bytes) -> list[tuple[int, bytes]]:
    """The elements that follow each other in `data`, as (tag, content). Raises DerMalformed."""
    found, at = [], 0
    while at < len(data):
        if at + 2 > len(data):
            raise DerMalformed
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
            if size == 0:  # the indefinite form of BER
                raise DerMalformed
        if at + length > len(data):
            raise DerMalformed
        found.append((tag, data[at : at + length]))
        at += length
    return found


def element(tag: int, content: bytes) -> bytes:
    """One element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def iteration_counts(pfx: bytes) -> Iterator[int]:
    """The iteration counts that can be read in a PKCS #12 file without its password.

    MacData (RFC 7292 §4), PBES1 and PBKDF2 parameters (RFC 8018 App. A.2, A.3) all have the salt as an OCTET STRING
    with the count as an INTEGER right after it. Raises DerMalformed.
    """
    yield from _counts(pfx, 0)


def _counts(data: bytes, depth: int) -> Iterator[int]:
    before = None
    for tag, content in items(data):
        if tag == INTEGER and before == OCTET_STRING:
            yield int.from_bytes(content, "big", signed=True)
        elif depth < _DEEPEST and (tag & _CONSTRUCTED or tag == OCTET_STRING):
            try:
                yield from _counts(content, depth + 1)
            except DerMalformed:  # ciphertext, or a salt
                if tag & _CONSTRUCTED:
                    raise
        before = tag
