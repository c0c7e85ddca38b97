"""The provider `webpush` against a push service that checks everything that the RFCs ask for."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ringback.clock import ManualClock, SystemRandomness
from ringback.egress import Egress, EgressAnswer
from ringback.protocols import jwe
from ringback.protocols.powerauth.keys import generate_private_key
from ringback.push.content import CallContent, Content
from ringback.push.credentials import CredentialKind, Health, StoredCredential, WebPushKeys, uncompressed_point
from ringback.push.model import OutgoingPush
from ringback.push.reactions import Verdict
from ringback.push.webpush import (
    LONGEST_TTL_SECONDS,
    PLACES_OF_AN_APP,
    URGENT_PLACES_OF_AN_APP,
    WebPushProvider,
    topic,
)
from ringback.resolving import PLACES_OF_AN_OWNER, SystemResolver
from ringback.testing import Behaviour, Received, Subscription, WebPushDouble, reject, silence
from tests.egress.servers import Names, NameServers
from tests.push.at_providers import until

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
CALL = Content(push_id="push-2", purpose="call", call=CallContent(display_name="Bob"))


def new_keys() -> WebPushKeys:
    key = generate_private_key()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return WebPushKeys(public_key=uncompressed_point(key), private_key=pem, subject="mailto:push@example.com")


class Kept:
    """The credentials of one app."""

    def __init__(self) -> None:
        self.keys: WebPushKeys | None = new_keys()
        self.stored = 1
        self.reports: list[tuple[Health, str]] = []

    def replace(self, keys: WebPushKeys | None) -> None:
        self.keys = keys
        self.stored += 1

    async def load(self, app_id: str, kind: CredentialKind) -> StoredCredential | None:
        assert kind == "webpush"
        if self.keys is None or app_id != "bank":
            return None
        return StoredCredential(
            id=f"credential-{self.stored}",
            app_id=app_id,
            kind="webpush",
            form="vapid",
            version=1,
            status="OK",
            status_reason=None,
            not_after=None,
            credential=self.keys,
        )

    async def report(self, credential: StoredCredential, status: Health, reason: str) -> None:  # noqa: ARG002
        self.reports.append((status, reason))


class Room:
    """The provider, and one browser at the push service."""

    def __init__(self, service: WebPushDouble, clock: ManualClock, egress: Egress, kept: Kept) -> None:
        self.service = service
        self.clock = clock
        self.kept = kept
        self.provider = WebPushProvider(
            way_out=egress, credentials=kept, clock=clock, randomness=SystemRandomness(), timeout_seconds=60
        )
        assert kept.keys is not None
        self.browser = service.subscribe(kept.keys.public_key)

    def push(self, content: Content | None = None, browser: Subscription | None = None, **more: Any) -> OutgoingPush:
        document = json.dumps((browser or self.browser).document)
        given = {"id": "push-1", "app_id": "bank", "user_id": "alice", "kind": "webpush", "push_token": document}
        return OutgoingPush(content=content or Content(push_id="push-1", title="Hello"), **{**given, **more})

    async def received(self, browser: Subscription | None = None) -> Received:
        return (await self.service.wait_for(1, push_token=(browser or self.browser).id))[-1]


def _trusting(service: WebPushDouble) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(service.authority.file))


@pytest.fixture
async def room(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Room]:
    async with WebPushDouble(tmp_path, clock=clock) as service:
        egress = Egress(allow=LOOPBACK, tls=_trusting(service))
        yield Room(service, clock, egress, Kept())
        await egress.close()


async def test_the_browser_gets_what_was_meant_for_it(room: Room) -> None:
    content = Content(push_id="push-1", title="Hello", body="Ahoj 👋", extras={"url": "/inbox"})
    reaction = await room.provider.send(room.push(content))
    received = await room.received()
    assert (reaction.verdict, reaction.status) == (Verdict.DELIVERED, 201)
    assert reaction.provider_id == room.service.url + received.push_id
    assert received.payload == {
        "type": "message",
        "pushid": "push-1",
        "payloadversion": "V2",
        "title": "Hello",
        "body": "Ahoj 👋",
        "extras": {"url": "/inbox"},
    }
    assert received.http == "http/1.1"
    assert received.headers["ttl"] == str(LONGEST_TTL_SECONDS)
    assert received.headers["urgency"] == "normal"
    assert "topic" not in received.headers


async def test_a_long_text_arrives_shortened(room: Room) -> None:
    reaction = await room.provider.send(room.push(Content(push_id="p", title="T", body="é" * 4_000)))
    received = await room.received()
    assert reaction.verdict is Verdict.DELIVERED
    assert len(received.body) in {4_095, 4_096}
    assert received.payload["body"].endswith("é…")


async def test_a_call_is_urgent_and_lasts_as_long_as_it_rings(room: Room) -> None:
    await room.provider.send(room.push(CALL, deadline_at=room.clock.now_ms() + 29_900, urgent=True))
    received = await room.received()
    assert received.headers["urgency"] == "high"
    assert received.headers["ttl"] == "29"
    assert received.payload["displayname"] == "Bob"


async def test_near_its_deadline_a_push_is_not_kept_by_the_push_service_and_after_it_not_sent(room: Room) -> None:
    await room.provider.send(room.push(deadline_at=room.clock.now_ms() + 900))
    assert (await room.received()).headers["ttl"] == "0"
    late = await room.provider.send(room.push(deadline_at=room.clock.now_ms()))
    assert (late.verdict, late.reason) == (Verdict.FAILED, "too late")
    assert len(room.service.received) == 1


async def test_silent_pushes_can_wait_and_newer_ones_replace_older_ones(room: Room) -> None:
    await room.provider.send(room.push(Content(push_id="p", silent=True, collapse_id="balance")))
    received = await room.received()
    assert received.headers["urgency"] == "low"
    assert received.topic == "balance"


async def test_with_a_key_of_the_app_the_content_is_a_jwe_inside(room: Room) -> None:
    key = bytes(range(32))
    await room.provider.send(room.push(CALL, encryption_key=key))
    payload = (await room.received()).payload
    assert payload.keys() == {"data"}
    assert json.loads(jwe.decrypt(payload["data"], key))["displayname"] == "Bob"


@pytest.mark.parametrize(
    ("behaviour", "verdict", "after"),
    [
        (reject("gone"), Verdict.DELETE_PUSH_TOKEN, None),
        (reject("not found"), Verdict.DELETE_PUSH_TOKEN, None),
        (reject("too large"), Verdict.FAILED, None),
        (Behaviour(status=400), Verdict.FAILED, None),
        (reject("refused"), Verdict.SUSPECT, None),
        (Behaviour(status=401), Verdict.SUSPECT, None),
        (reject("too many", retry_after="120"), Verdict.RETRY, 120),
        (reject("unavailable", retry_after="7"), Verdict.RETRY, 7),
        (reject("unavailable"), Verdict.RETRY, None),
        (Behaviour(status=500), Verdict.RETRY, None),
        (Behaviour(status=200), Verdict.DELIVERED, None),
        (Behaviour(status=202), Verdict.DELIVERED, None),
        (Behaviour(status=301), Verdict.FAILED, None),
        (Behaviour(status=418), Verdict.FAILED, None),
    ],
)
async def test_what_an_answer_means(room: Room, behaviour: Behaviour, verdict: Verdict, after: float | None) -> None:
    room.service.next(behaviour)
    reaction = await room.provider.send(room.push())
    assert reaction.verdict is verdict
    if after is None:
        assert reaction.retry_after_seconds is None
    else:  # a little later, so that those who were told the same time do not come back together
        assert reaction.retry_after_seconds is not None
        assert after <= reaction.retry_after_seconds <= after * 1.25
    assert reaction.status == (await room.received()).status
    assert [status for status, _ in room.kept.reports] == (["SUSPECT"] if verdict is Verdict.SUSPECT else [])


async def test_a_browser_that_subscribed_for_other_keys_says_nothing_about_the_rest(room: Room) -> None:
    other = room.service.subscribe(new_keys().public_key)
    assert (await room.provider.send(room.push(browser=other))).verdict is Verdict.SUSPECT
    assert (await room.provider.send(room.push())).verdict is Verdict.DELIVERED


async def test_a_push_service_that_is_silent_or_gone_is_tried_again(room: Room, tmp_path: Path) -> None:
    service = room.service
    egress = Egress(allow=LOOPBACK, tls=_trusting(service))
    hurried = WebPushProvider(
        way_out=egress, credentials=room.kept, clock=room.clock, randomness=SystemRandomness(), timeout_seconds=0.2
    )
    service.next(silence())
    assert (await hurried.send(room.push())).verdict is Verdict.RETRY
    async with WebPushDouble(tmp_path / "other", clock=room.clock) as untrusted:
        reaction = await room.provider.send(room.push(browser=untrusted.subscribe()))
        assert (reaction.verdict, reaction.reason) == (
            Verdict.RETRY,
            "The destination's certificate is not trusted for this name.",
        )
        browser = untrusted.subscribe()
    assert (await room.provider.send(room.push(browser=browser))).verdict is Verdict.RETRY
    await egress.close()


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1"])
async def test_an_endpoint_on_a_private_address_is_never_called(room: Room, address: str) -> None:
    guarded = Egress(ports=[room.service.port], resolver=Names(address))
    provider = WebPushProvider(way_out=guarded, credentials=room.kept, clock=room.clock, randomness=SystemRandomness())
    host = f"[{address}]" if ":" in address else address
    for name in (host, "push.example.com"):
        document = {**room.browser.document, "endpoint": f"https://{name}:{room.service.port}/push/1"}
        reaction = await provider.send(room.push(push_token=json.dumps(document)))
        assert (reaction.verdict, reaction.reason) == (Verdict.FAILED, "endpoint")
    await guarded.close()


@pytest.mark.parametrize("push_token", ["", "not JSON", '{"endpoint": "http://push.example.com/1", "keys": {}}'])
async def test_a_push_token_that_is_no_subscription_is_deleted(room: Room, push_token: str) -> None:
    assert (await room.provider.send(room.push(push_token=push_token))).verdict is Verdict.DELETE_PUSH_TOKEN


async def test_what_does_not_fit_fails_and_names_the_member(room: Room) -> None:
    reaction = await room.provider.send(room.push(Content(push_id="p", extras={"blob": "x" * 5_000})))
    assert (reaction.verdict, reaction.reason) == (Verdict.FAILED, "extras")
    assert "3993" in reaction.meaning


async def test_without_keys_pushes_wait(room: Room) -> None:
    room.kept.replace(None)
    assert (await room.provider.send(room.push())).verdict is Verdict.PARK


async def test_one_vapid_header_serves_an_origin_until_it_is_nearly_over_or_the_keys_change(room: Room) -> None:
    seen = []
    for wait in (0, 3_600, 10 * 3_600, 0):
        room.clock.advance(wait)
        assert (await room.provider.send(room.push())).verdict is Verdict.DELIVERED
        seen.append((await room.received()).headers["authorization"])
    assert seen[0] == seen[1]
    assert seen[1] != seen[2]
    assert seen[2] == seen[3]
    keys = new_keys()
    room.kept.replace(keys)
    browser = room.service.subscribe(keys.public_key)
    assert (await room.provider.send(room.push(browser=browser))).verdict is Verdict.DELIVERED
    assert (await room.received(browser)).headers["authorization"] != seen[3]


async def test_a_clock_that_was_set_back_gets_a_new_header(room: Room) -> None:
    await room.provider.send(room.push())
    room.clock.advance(-86_400)
    assert (await room.provider.send(room.push())).verdict is Verdict.DELIVERED


async def test_many_at_once_arrive_and_no_two_are_encrypted_alike(room: Room) -> None:
    reactions = await asyncio.gather(*(room.provider.send(room.push()) for _ in range(50)))
    assert {reaction.verdict for reaction in reactions} == {Verdict.DELIVERED}
    received = await room.service.wait_for(50, push_token=room.browser.id)
    assert len({push.body[:86] for push in received}) == 50


def test_a_collapse_id_becomes_a_topic() -> None:
    assert topic("0192f0c1-7b7e-7000-8000-000000000") != "0192f0c1-7b7e-7000-8000-000000000"
    assert topic("balance_1") == "balance_1"
    for collapse_id in ("with space", "x" * 33, "zůstatek"):
        assert len(topic(collapse_id)) == 32
        assert topic(collapse_id) == topic(collapse_id)


def test_nothing_secret_is_shown(room: Room) -> None:
    shown = repr(room.push(encryption_key=bytes(range(32))))
    assert shown == "OutgoingPush(webpush push-1)"


class NeverAnswering:
    """A way out to push services of which those of one host never answer."""

    def __init__(self) -> None:
        self.under_way = 0

    async def request(self, method: str, url: str, **_: Any) -> EgressAnswer:  # noqa: ARG002
        if "silent" in url:
            self.under_way += 1
            await asyncio.Event().wait()
        return EgressAnswer(201, {}, b"")


class AnyApp(Kept):
    """The same credential for every app."""

    async def load(self, app_id: str, kind: CredentialKind) -> StoredCredential | None:
        stored = await super().load("bank", kind)
        return None if stored is None else msgspec.structs.replace(stored, app_id=app_id)


@pytest.mark.parametrize(("urgent", "places"), [(False, PLACES_OF_AN_APP), (True, URGENT_PLACES_OF_AN_APP)])
async def test_push_services_that_never_answer_take_places_of_one_app_only(
    room: Room, urgent: bool, places: int
) -> None:
    way_out = NeverAnswering()
    provider = WebPushProvider(
        way_out=way_out,
        credentials=AnyApp(),
        clock=room.clock,
        randomness=SystemRandomness(),
        patience_seconds=0.01,
    )
    document = room.browser.document
    silent = json.dumps({**document, "endpoint": "https://silent.example/x"})
    pushes = [room.push(push_token=silent, urgent=urgent) for _ in range(3 * places)]
    waiting = [asyncio.create_task(provider.send(push)) for push in pushes]
    refused, pending = await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    while len(refused) < 2 * places:
        more, pending = await asyncio.wait(pending, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert more
        refused |= more
    assert way_out.under_way == places
    assert {one.result().verdict for one in refused} == {Verdict.RETRY}
    for another in (room.push(app_id="shop"), room.push(CALL, app_id="shop", urgent=True)):
        assert (await provider.send(another)).verdict is Verdict.DELIVERED
    if not urgent:
        assert (await provider.send(room.push(CALL, urgent=True))).verdict is Verdict.DELIVERED, "somebody listens"
    for one in pending:
        one.cancel()
    await asyncio.wait(pending)
    assert (await provider.send(room.push(urgent=urgent))).verdict is Verdict.DELIVERED, "the places are free again"


async def test_endpoints_with_a_slow_name_delay_no_other_app_and_no_call(room: Room) -> None:
    names = NameServers()
    egress = Egress(allow=LOOPBACK, tls=_trusting(room.service), resolver=SystemResolver(ask=names))
    credentials = AnyApp()
    credentials.replace(room.kept.keys)
    provider = WebPushProvider(
        way_out=egress, credentials=credentials, clock=room.clock, randomness=SystemRandomness(), timeout_seconds=60
    )
    waiting = []
    for number in range(PLACES_OF_AN_APP):
        document = {**room.browser.document, "endpoint": f"https://{number}.tarpit.example/x"}
        push = room.push(app_id="shop", push_token=json.dumps(document))
        waiting.append(asyncio.create_task(provider.send(push)))
    await until(lambda: len(names.asked) >= PLACES_OF_AN_OWNER)
    good = json.dumps(room.browser.document).replace("127.0.0.1", "localhost")
    own_call, of_another = room.push(CALL, app_id="shop", push_token=good, urgent=True), room.push(push_token=good)
    reactions = await asyncio.gather(provider.send(own_call), provider.send(of_another))
    assert [reaction.verdict for reaction in reactions] == [Verdict.DELIVERED] * 2
    assert names.asked.count("localhost") == 2
    assert len(names.asked) == PLACES_OF_AN_OWNER + 2
    assert not any(one.done() for one in waiting), "the slow names are still slow"
    names.gives_up.set()
    assert {reaction.verdict for reaction in await asyncio.gather(*waiting)} == {Verdict.RETRY}
    await egress.close()
