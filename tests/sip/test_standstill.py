"""A process that stood still: stopped, swapped out. What lay in its UDP sockets meanwhile is not all worth reading."""

from __future__ import annotations

import socket
import time

import pytest

from ringback.sip import SipAddress
from tests.sip.conftest import SHORT, MakeEndpoint, MakePeer
from tests.sip.peers import Handler, until, write


def _send(data: bytes, to: SipAddress) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, (to.host, to.port))


@pytest.mark.parametrize("seconds", [1.5 * SHORT.patience, 0.5 * SHORT.patience])
async def test_who_called_meanwhile_has_given_up_when_it_was_long(
    make_endpoint: MakeEndpoint, peer_of: MakePeer, seconds: float
) -> None:
    handler = Handler()
    endpoint = make_endpoint(handler, timers=SHORT)
    address = await endpoint.listen("udp", "127.0.0.1", 0)
    peer = await peer_of(address)
    peer.send(write("INVITE", port=peer.port, branch="z9hG4bKheld", call_id="held"))
    held = await handler.next()
    await peer.response(100)
    left: list[bool] = []
    held.on_cancel = lambda: left.append(True)
    for number in range(3):
        _send(write("INVITE", port=peer.port, branch=f"z9hG4bK{number}", call_id=f"late-{number}"), address)
    _send(write("CANCEL", port=peer.port, branch="z9hG4bKheld", call_id="held"), address)
    _send(write("REGISTER", port=peer.port, branch="z9hG4bKregister", call_id="registered"), address)
    time.sleep(seconds)  # noqa: ASYNC251 the whole process stands still
    await until(lambda: "REGISTER" in [one.request.method for one in handler.requests])
    assert left
    late = [one for one in handler.requests if one.request.call_id.startswith("late")]
    assert len(late) == (0 if seconds > SHORT.patience else 3)
    assert endpoint.counters.refused == ({"late": 3} if seconds > SHORT.patience else {})


async def test_who_still_waits_is_heard_and_so_is_who_comes_afterwards(
    make_endpoint: MakeEndpoint, peer_of: MakePeer
) -> None:
    handler = Handler()
    endpoint = make_endpoint(handler, timers=SHORT)
    peer = await peer_of(await endpoint.listen("udp", "127.0.0.1", 0))
    time.sleep(1.5 * SHORT.patience)  # noqa: ASYNC251 nothing comes meanwhile
    await peer.nothing()
    peer.send(write("INVITE", port=peer.port, branch="z9hG4bKafter", call_id="after"))
    assert (await handler.next()).request.call_id == "after"
    await peer.response(100)
    invite = write("INVITE", port=peer.port, branch="z9hG4bKlate", call_id="late")
    _send(invite, peer.to)
    time.sleep(1.5 * SHORT.patience)  # noqa: ASYNC251
    await until(lambda: endpoint.counters.refused["late"])
    peer.send(invite)
    assert (await handler.next(2)).request.call_id == "late"
