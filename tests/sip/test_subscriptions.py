"""Subscriptions over real sockets: early, late, forged, doubled and foreign NOTIFYs; passwords; refreshing."""

from __future__ import annotations

import asyncio

import pytest

from ringback.protocols.sip import digest
from ringback.protocols.sip.message import Request
from ringback.sip import (
    IncomingRequest,
    Notification,
    SipAddress,
    SipEndpoint,
    SipPassword,
    SipTimeout,
    Subscription,
    SubscriptionRefused,
    Subscriptions,
    Timers,
)
from tests.sip.conftest import SHORT, MakeEndpoint, MakePeer
from tests.sip.peers import UdpPeer, until, write
from tests.sip.requests import answer_to, spawn

BODY = b'<?xml version="1.0"?><reginfo/>'


class Watcher:
    """A handler that has nothing but subscriptions."""

    def __init__(self) -> None:
        self.subscriptions: Subscriptions | None = None
        self.told: list[Notification] = []

    def on_request(self, incoming: IncomingRequest) -> None:
        assert self.subscriptions is not None
        if not self.subscriptions.handles(incoming):
            incoming.respond(481)

    def on_ack(self, ack: Request, source: SipAddress) -> None:
        """Nobody is called here."""


class Stage:
    """A watcher, its endpoint, and the proxy at which it subscribes."""

    def __init__(self, watcher: Watcher, endpoint: SipEndpoint, proxy: UdpPeer) -> None:
        self.endpoint = endpoint
        self.proxy = proxy
        self.watcher = watcher
        self.subscriptions = watcher.subscriptions = Subscriptions(endpoint)
        self.told = watcher.told

    def subscribe(self, password: SipPassword | None = None, expires: int = 60) -> asyncio.Task[Subscription]:
        return spawn(
            self.subscriptions.subscribe(
                event="reg",
                target="sip:bob@example.org",
                to=self.proxy.address,
                expires=expires,
                credentials=password,
                on_notify=self.told.append,
            )
        )

    async def subscribed(self) -> tuple[Subscription, Request]:
        task = self.subscribe()
        asked = await self.proxy.request("SUBSCRIBE")
        self.proxy.send(answer_to(asked, 200, ("Expires", "60")))
        return await task, asked

    def notify(
        self,
        asked: Request,
        *,
        state: str = "active;expires=60",
        number: int = 1,
        tag: str = "theirs",
        to: str = "",
        call_id: str = "",
        event: str = "reg",
    ) -> bytes:
        return write(
            "NOTIFY",
            f"Event: {event}",
            f"Subscription-State: {state}",
            f"Contact: <sip:presence@127.0.0.1:{self.proxy.port}>",
            uri=asked.contacts[0].uri,
            branch=f"z9hG4bKn{number}{tag}{len(self.proxy.raw)}",
            call_id=call_id or asked.call_id,
            number=number,
            from_=f"<sip:bob@example.org>;tag={tag}",
            to=to or asked.headers.get("From") or "",
            body=BODY,
            port=self.proxy.port,
        )


@pytest.fixture
async def stage(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> Stage:
    return await set_up(make_endpoint, peer_of)


async def set_up(make_endpoint: MakeEndpoint, peer_of: MakePeer, **options: object) -> Stage:
    watcher = Watcher()
    endpoint = make_endpoint(watcher, **options)
    return Stage(watcher, endpoint, await peer_of(await endpoint.listen("udp", "127.0.0.1", 0)))


async def test_a_subscription_from_its_beginning_to_its_end(stage: Stage) -> None:
    subscription, asked = await stage.subscribed()
    assert asked.headers.get("Event") == "reg"
    assert asked.contacts[0].uri == f"sip:127.0.0.1:{stage.proxy.to.port}"
    assert asked.from_.uri == "sip:ringback@127.0.0.1"
    stage.proxy.send(stage.notify(asked))
    await stage.proxy.response(200)
    assert stage.told == [Notification("active", "", BODY, "")]
    ending = spawn(subscription.end())
    last = await stage.proxy.request("SUBSCRIBE")
    assert last.expires == 0
    assert last.to_tag == "theirs"
    assert last.uri == f"sip:presence@127.0.0.1:{stage.proxy.port}"
    stage.proxy.send(answer_to(last, 200))
    await ending
    assert subscription.is_over
    stage.proxy.send(stage.notify(asked, state="terminated;reason=timeout", number=2))
    await stage.proxy.response(200)
    stage.proxy.send(stage.notify(asked, state="terminated;reason=timeout", number=3))
    await stage.proxy.response(481)
    assert len(stage.told) == 1
    assert len(stage.subscriptions) == 0


async def test_a_notify_before_the_answer_is_told_at_once(stage: Stage) -> None:
    task = stage.subscribe()
    asked = await stage.proxy.request("SUBSCRIBE")
    stage.proxy.send(stage.notify(asked))
    await stage.proxy.response(200)
    assert [one.state for one in stage.told] == ["active"]
    assert not task.done()
    stage.proxy.send(answer_to(asked, 200))
    assert not (await task).is_over


async def test_a_doubled_notify_is_told_once(stage: Stage) -> None:
    _, asked = await stage.subscribed()
    notify = stage.notify(asked)
    stage.proxy.send(notify)
    done = await stage.proxy.response(200)
    stage.proxy.send(notify)
    await stage.proxy.copies(done, 2)
    assert len(stage.told) == 1


async def test_an_overtaken_notify_is_refused(stage: Stage) -> None:
    _, asked = await stage.subscribed()
    stage.proxy.send(stage.notify(asked, number=5))
    await stage.proxy.response(200)
    stage.proxy.send(stage.notify(asked, number=4))
    await stage.proxy.response(500)
    assert len(stage.told) == 1
    assert stage.endpoint.counters.refused == {"out_of_order": 1}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"call_id": "other"}, 481),
        ({"to": "<sip:ringback@127.0.0.1>;tag=other"}, 481),
        ({"to": "<sip:ringback@127.0.0.1>"}, 481),
        ({"tag": "other"}, 481),
        ({"event": "presence"}, 489),
        ({"state": ";"}, 400),
    ],
)
async def test_a_notify_that_does_not_fit_moves_nothing(stage: Stage, changed: dict[str, str], status: int) -> None:
    _, asked = await stage.subscribed()
    stage.proxy.send(stage.notify(asked, **changed))  # type: ignore[arg-type]
    await stage.proxy.response(status)
    assert stage.told == []
    stage.proxy.send(stage.notify(asked))
    await stage.proxy.response(200)
    assert len(stage.told) == 1


async def test_a_notify_from_another_address_moves_nothing(stage: Stage) -> None:
    _, asked = await stage.subscribed()
    forger = await UdpPeer.open(stage.proxy.to, "127.0.0.2")
    try:
        forger.send(stage.notify(asked, state="terminated").replace(b"127.0.0.1", b"127.0.0.2"))
        await forger.response(481)
    finally:
        forger.close()
    assert stage.told == []
    assert stage.endpoint.counters.refused == {"forged": 1}


async def test_a_notify_from_a_trusted_address_counts(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    stage = await set_up(make_endpoint, peer_of, trusted=["127.0.0.2"])
    _, asked = await stage.subscribed()
    sibling = await UdpPeer.open(stage.proxy.to, "127.0.0.2")
    try:
        sibling.send(stage.notify(asked))
        await sibling.response(200)
    finally:
        sibling.close()
    assert len(stage.told) == 1


async def test_a_refused_subscription_says_why_and_leaves_nothing(stage: Stage) -> None:
    task = stage.subscribe()
    asked = await stage.proxy.request("SUBSCRIBE")
    stage.proxy.send(answer_to(asked, 403))
    with pytest.raises(SubscriptionRefused, match="403 Forbidden") as refused:
        await task
    assert refused.value.status == 403
    stage.proxy.send(stage.notify(asked))
    await stage.proxy.response(481)
    assert len(stage.subscriptions) == 0


async def test_a_proxy_that_does_not_answer_leaves_nothing(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    stage = await set_up(make_endpoint, peer_of, timers=SHORT)
    with pytest.raises(SipTimeout):
        await stage.subscribe()
    assert len(stage.subscriptions) == 0


async def test_whoever_does_not_wait_any_longer_leaves_nothing(stage: Stage) -> None:
    task = stage.subscribe()
    asked = await stage.proxy.request("SUBSCRIBE")
    task.cancel()
    await until(task.done)
    assert len(stage.subscriptions) == 0
    assert stage.endpoint.transactions == 0
    stage.proxy.send(stage.notify(asked))
    await stage.proxy.response(481)


async def test_it_is_refreshed_by_itself(stage: Stage) -> None:
    task = stage.subscribe(expires=1)
    asked = await stage.proxy.request("SUBSCRIBE")
    stage.proxy.send(answer_to(asked, 200, ("Expires", "1")))
    subscription = await task
    again = await stage.proxy.request("SUBSCRIBE")
    assert again.to_tag == "theirs"
    assert again.cseq.number == 2
    stage.proxy.send(answer_to(again, 481))
    await until(lambda: stage.told)
    assert [(one.state, one.reason) for one in stage.told] == [("terminated", "gone")]
    assert subscription.is_over
    await subscription.end()
    await stage.proxy.nothing()


async def test_one_that_cannot_be_refreshed_ends(make_endpoint: MakeEndpoint, peer_of: MakePeer) -> None:
    stage = await set_up(make_endpoint, peer_of, timers=Timers(t1=0.05))
    task = stage.subscribe(expires=1)
    asked = await stage.proxy.request("SUBSCRIBE")
    stage.proxy.send(answer_to(asked, 200, ("Expires", "1")))
    await task
    await until(lambda: stage.told)
    assert [(one.state, one.reason) for one in stage.told] == [("terminated", "expired")]


@pytest.mark.parametrize(("status", "asks", "answers"), [
    (401, "WWW-Authenticate", "Authorization"),
    (407, "Proxy-Authenticate", "Proxy-Authorization"),
])  # fmt: skip
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_password_is_given_when_asked_for_and_right_away_the_next_time(
    stage: Stage, status: int, asks: str, answers: str, algorithm: str
) -> None:
    task = stage.subscribe(SipPassword("as", "secret"))
    asked = await stage.proxy.request("SUBSCRIBE")
    assert asked.from_.uri == "sip:as@example.org"
    stage.proxy.send(answer_to(asked, status, (asks, digest.challenge("r", "n1", algorithm))))
    proved = await stage.proxy.request("SUBSCRIBE")
    given = digest.parse_authorization(proved.headers.get(answers) or "")
    assert digest.verify(given, "SUBSCRIBE", digest.ha1("as", "r", "secret", algorithm))
    assert (given.uri, given.nc) == ("sip:bob@example.org", "00000001")
    assert proved.cseq.number == 2
    assert proved.call_id == asked.call_id
    assert proved.via.branch != asked.via.branch
    stage.proxy.send(answer_to(proved, 200, ("Expires", "60")))
    subscription = await task
    ending = spawn(subscription.end())
    last = await stage.proxy.request("SUBSCRIBE")
    assert digest.parse_authorization(last.headers.get(answers) or "").nc == "00000002"
    assert last.cseq.number == 3
    stage.proxy.send(answer_to(last, status, (asks, digest.challenge("r", "n2", algorithm, stale=True))))
    again = await stage.proxy.request("SUBSCRIBE")
    assert digest.parse_authorization(again.headers.get(answers) or "").nonce == "n2"
    stage.proxy.send(answer_to(again, 200))
    await ending


async def test_the_proxy_and_the_server_behind_it_may_both_ask(stage: Stage) -> None:
    task = stage.subscribe(SipPassword("as", "secret"))
    asked = await stage.proxy.request("SUBSCRIBE")
    stage.proxy.send(answer_to(asked, 407, ("Proxy-Authenticate", digest.challenge("proxy", "n1"))))
    asked = await stage.proxy.request("SUBSCRIBE")
    stage.proxy.send(answer_to(asked, 401, ("WWW-Authenticate", digest.challenge("server", "n2"))))
    asked = await stage.proxy.request("SUBSCRIBE")
    for field, realm in (("Proxy-Authorization", "proxy"), ("Authorization", "server")):
        given = digest.parse_authorization(asked.headers.get(field) or "")
        assert digest.verify(given, "SUBSCRIBE", digest.ha1("as", realm, "secret"))
    stage.proxy.send(answer_to(asked, 200))
    await task


async def test_a_hash_does_instead_of_the_password_where_its_algorithm_is_asked_for(stage: Stage) -> None:
    password = SipPassword("as", ha1={"SHA-256": digest.ha1("as", "r", "secret", "SHA-256")})
    task = stage.subscribe(password)
    asked = await stage.proxy.request("SUBSCRIBE")
    both = [("WWW-Authenticate", digest.challenge("r", f"of {one}", one)) for one in ("MD5", "SHA-256")]
    stage.proxy.send(answer_to(asked, 401, *both))
    asked = await stage.proxy.request("SUBSCRIBE")
    given = digest.parse_authorization(asked.headers.get("Authorization") or "")
    assert digest.verify(given, "SUBSCRIBE", password.ha1["SHA-256"])
    stage.proxy.send(answer_to(asked, 200))
    await task
    task = stage.subscribe(SipPassword("other", ha1=password.ha1))
    asked = await stage.proxy.request("SUBSCRIBE")
    stage.proxy.send(answer_to(asked, 401, ("WWW-Authenticate", digest.challenge("r", "n1", "MD5"))))
    with pytest.raises(SubscriptionRefused):
        await task


async def test_a_wrong_password_is_not_tried_again(stage: Stage) -> None:
    task = stage.subscribe(SipPassword("as", "wrong"))
    for number in (1, 2):
        asked = await stage.proxy.request("SUBSCRIBE")
        challenge = digest.challenge("r", f"n{number}", "MD5")
        stage.proxy.send(answer_to(asked, 401, ("WWW-Authenticate", challenge)))
    with pytest.raises(SubscriptionRefused, match="401"):
        await task
    await stage.proxy.nothing()


async def test_a_challenge_that_is_not_known_is_a_refusal(stage: Stage) -> None:
    task = stage.subscribe(SipPassword("as", "secret"))
    asked = await stage.proxy.request("SUBSCRIBE")
    stage.proxy.send(answer_to(asked, 401, ("WWW-Authenticate", 'Bearer realm="r"')))
    with pytest.raises(SubscriptionRefused):
        await task


def test_a_password_does_not_show_itself() -> None:
    assert "secret" not in repr(SipPassword("as", "secret"))
