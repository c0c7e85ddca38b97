"""A connection whose other end is gone without a word: a firewall forgot it, a machine lost its power."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from ringback.sip import SipAddress, SipUnreachable
from tests.sip.conftest import MakeEndpoint
from tests.sip.peers import StreamPeer, until
from tests.sip.requests import answer_to, request_of, spawn

Connect = Callable[..., Awaitable[StreamPeer]]
_SO_ATTACH_FILTER = 26
_DROP = struct.pack("HBBI", 0x06, 0, 0, 0)


def fall_silent(peer: StreamPeer) -> None:
    """No segment that comes is taken, or acknowledged, from here on: a filter of the kernel drops them all."""
    program = ctypes.create_string_buffer(_DROP)
    peer.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program))
    )


async def test_a_connection_that_nobody_acknowledges_is_given_up(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = make_endpoint(unacknowledged_seconds=0.5)
    peer = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    await until(lambda: endpoint.connections == 1)
    there = SipAddress("tcp", "127.0.0.1", peer.port)
    asked = spawn(endpoint.send(request_of("SUBSCRIBE"), there))
    peer.send(answer_to(await peer.request("SUBSCRIBE"), 200))
    assert (await asked).status == 200
    fall_silent(peer)
    with pytest.raises(SipUnreachable, match="The connection was lost"):
        await endpoint.send(request_of("SUBSCRIBE"), there)
    assert endpoint.connections == 0
