"""Apple's HPACK rule, read from the raw header blocks as they arrive (RFC 7541 §6)."""

from __future__ import annotations

import ssl

import msgspec
import pytest

from ringback.http2 import Indexing, Request
from tests.http2.conftest import MakePool
from tests.http2.server import scripted

APPLE = Indexing(
    never=frozenset({b":path", b"authorization"}),
    once=frozenset({b"apns-id", b"apns-expiration", b"apns-collapse-id"}),
)
LITERALS = {"without indexing", "never indexed"}


class Represented(msgspec.Struct, frozen=True):
    """How a field stood in a block. `name_known`: its name was an index."""

    way: str
    name_known: bool


def read(block: bytes) -> list[Represented]:
    """The representations of a header block, in their order."""
    fields, at = [], 0
    while at < len(block):
        first = block[at]
        if first & 0x80:
            _, at = _integer(block, at, 7)
            fields.append(Represented("indexed", name_known=True))
            continue
        if first & 0xE0 == 0x20:
            _, at = _integer(block, at, 5)  # the size of the table changes
            continue
        way, bits = ("incremental", 6) if first & 0x40 else ("never indexed" if first & 0x10 else "without indexing", 4)
        name, at = _integer(block, at, bits)
        for _ in range(1 if name else 2):
            length, at = _integer(block, at, 7)
            at += length
        fields.append(Represented(way, name_known=bool(name)))
    return fields


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """An integer and where it ends (RFC 7541 §5.1)."""
    most = (1 << bits) - 1
    value, at = block[at] & most, at + 1
    if value < most:
        return value, at
    shift = 0
    while True:
        octet, at = block[at], at + 1
        value += (octet & 0x7F) << shift
        shift += 7
        if not octet & 0x80:
            return value, at


async def test_apples_rule_is_kept_on_every_request_of_every_connection(
    make_pool: MakePool, server_tls: ssl.SSLContext
) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port, indexing=APPLE, most_requests_per_connection=4)
        for number in range(8):
            headers = (
                (b"authorization", b"bearer " + b"a" * 180),
                (b"apns-topic", b"com.example.bank"),
                (b"apns-id", b"id-%d" % number),
                (b"apns-expiration", b"0"),
                (b"apns-collapse-id", b"c-%d" % (number % 2)),
            )
            await pool.send(Request(b"/3/device/%d" % number, headers, b"x"), timeout_seconds=30)
        assert len(server.peers) == 2
        for peer in server.peers:
            assert len(peer.blocks) == 4
            for number, block in enumerate(peer.blocks):
                _method, _scheme, _authority, path, authorization, topic, *once = read(block)
                apns_id, _expiration, _collapse_id = once
                assert path.way in LITERALS
                assert path.name_known
                assert authorization.way in LITERALS
                assert topic.way == ("indexed" if number else "incremental")
                if number:
                    assert apns_id.way in LITERALS
                    # h2 refers to a value that went into the table the first time and comes again: nothing is added
                    assert {field.way for field in once} <= LITERALS | {"indexed"}
                else:
                    assert {field.way for field in once} == {"incremental"}
                assert all(field.name_known for field in once) == bool(number)


@pytest.mark.parametrize("field", [(b":path", b"/y"), (b"apns-id", b"1\r\nx: y"), (b"authorization", b"a\0")])
async def test_a_rule_opens_no_door(
    make_pool: MakePool, server_tls: ssl.SSLContext, field: tuple[bytes, bytes]
) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port, indexing=APPLE)
        with pytest.raises(ValueError, match="cannot be sent"):
            await pool.send(Request(b"/x", (field,)), timeout_seconds=30)
        assert server.received == []


async def test_without_a_rule_everything_may_be_remembered(make_pool: MakePool, server_tls: ssl.SSLContext) -> None:
    async with scripted(server_tls) as server:
        pool = make_pool(server.port)
        for _ in range(2):
            await pool.send(Request(b"/x", ((b"ttl", b"60"), (b"urgency", b"high")), b"x"), timeout_seconds=30)
        assert [field.way for field in read(server.peers[0].blocks[1])][4:] == ["indexed", "indexed"]
