"""Subscriptions at a proxy that had opened the connection itself: where they go when it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ringback.sip import Notification, SipAddress, SipPassword, Subscription, Subscriptions
from tests.sip.conftest import MakeEndpoint
from tests.sip.peers import StreamPeer, until
from tests.sip.requests import answer_to, spawn
from tests.sip.test_subscriptions import Watcher

Connect = Callable[..., Awaitable[StreamPeer]]


class Proxy:
    """One that listens, and has opened a connection to the endpoint."""

    listening: asyncio.Server

    def __init__(self, watcher: Watcher, opened: StreamPeer) -> None:
        self._watcher = watcher
        self.opened = opened
        self.accepted: list[StreamPeer] = []

    @property
    def address(self) -> SipAddress:
        """Where it takes connections."""
        return SipAddress("tcp", "127.0.0.1", self.listening.sockets[0].getsockname()[1])

    def joined(self) -> StreamPeer:
        """Somebody connects."""
        self.accepted.append(StreamPeer())
        return self.accepted[-1]

    async def subscribed(self, told: list[Notification], password: SipPassword | None) -> Subscription:
        """A subscription over the connection that the proxy has opened."""
        subscriptions = self._watcher.subscriptions
        assert subscriptions is not None
        task = spawn(
            subscriptions.subscribe(
                event="reg",
                target="sip:bob@example.org",
                to=SipAddress("tcp", "127.0.0.1", self.opened.port),
                expires=60,
                credentials=password,
                on_notify=told.append,
                otherwise=self.address,
            )
        )
        asked = await self.opened.request("SUBSCRIBE")
        self.opened.send(answer_to(asked, 200, ("Expires", "60")))
        return await task


@pytest.fixture
async def proxy(make_endpoint: MakeEndpoint, connect: Connect) -> Proxy:
    watcher = Watcher()
    endpoint = make_endpoint(watcher)
    watcher.subscriptions = Subscriptions(endpoint)
    opened = await connect(await endpoint.listen("tcp", "127.0.0.1", 0))
    await until(lambda: endpoint.connections == 1)
    made = Proxy(watcher, opened)
    made.listening = await asyncio.get_running_loop().create_server(made.joined, "127.0.0.1", 0)
    return made


@pytest.mark.parametrize("password", [None, SipPassword("as", "secret")])
async def test_it_ends_by_a_new_connection_when_the_first_is_gone(proxy: Proxy, password: SipPassword | None) -> None:
    subscription = await proxy.subscribed([], password)
    proxy.opened.close()
    ending = spawn(subscription.end())
    await until(lambda: proxy.accepted)
    last = await proxy.accepted[0].request("SUBSCRIBE")
    assert last.expires == 0
    assert last.to_tag == "theirs"
    assert last.cseq.number > 1
    proxy.accepted[0].send(answer_to(last, 200))
    await ending
    proxy.listening.close()


async def test_it_ends_by_itself_where_nobody_listens_either(proxy: Proxy) -> None:
    subscription = await proxy.subscribed([], None)
    proxy.listening.close()
    proxy.opened.close()
    await subscription.end()
    assert subscription.is_over
