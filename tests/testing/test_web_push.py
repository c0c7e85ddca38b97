"""The Web Push double, used by npm web-push, a real sender, and by hand where that is too polite."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from ringback.clock import ManualClock
from ringback.protocols.web_push import parse_subscription
from ringback.testing import Subscription, WebPushDouble, reject
from tests.peers.node import node


@pytest.fixture
async def web_push(tmp_path: Path) -> AsyncIterator[WebPushDouble]:
    """On the machine's clock, since npm web-push is."""
    async with WebPushDouble(tmp_path) as double:
        yield double


async def send(
    double: WebPushDouble, subscription: Subscription, payload: str | None, document: Any = None, **options: Any
) -> Any:
    whole = {"ca": str(double.ca_file), "subscription": document or subscription.document}
    return await node("web_push_client.mjs", {**whole, "payload": payload, "options": options})


async def test_npm_web_push_sends_and_the_double_decrypts(web_push: WebPushDouble) -> None:
    subscription = web_push.subscribe()
    answer = await send(web_push, subscription, '{"title":"Zoë"}', TTL=60, urgency="high", topic="news")
    assert answer["status"] == 201
    [push] = await web_push.wait_for(1, push_token=subscription.id)
    assert push.payload == {"title": "Zoë"}
    assert answer["headers"]["location"] == web_push.url + push.push_id
    assert (push.headers["ttl"], push.headers["urgency"], push.topic) == ("60", "high", "news")
    assert "Zo" not in push.body.decode("latin-1")


async def test_a_subscription_as_btoa_writes_it(web_push: WebPushDouble) -> None:
    """Pages that encode the keys themselves make Base64 with padding of them; npm web-push reads that, and so do we."""
    subscription = web_push.subscribe()
    plain = parse_subscription(json.dumps(subscription.document))
    keys = {"p256dh": base64.b64encode(plain.p256dh).decode(), "auth": base64.b64encode(plain.auth).decode()}
    by_btoa = {**subscription.document, "keys": keys}
    assert (await send(web_push, subscription, "hello", by_btoa))["status"] == 201
    assert parse_subscription(json.dumps(by_btoa)) == plain


async def test_text_and_nothing_are_messages_too(web_push: WebPushDouble) -> None:
    subscription = web_push.subscribe()
    assert (await send(web_push, subscription, "hello", TTL=0))["status"] == 201
    assert (await send(web_push, subscription, None, TTL=0))["status"] == 201
    assert [push.payload for push in web_push.accepted] == ["hello", None]


@pytest.mark.parametrize(
    ("reason", "status"),
    [("gone", 410), ("not found", 404), ("too large", 413), ("too many", 429), ("unavailable", 503)],
)
async def test_refusals_can_be_scripted(web_push: WebPushDouble, reason: str, status: int) -> None:
    subscription = web_push.subscribe()
    web_push.script(subscription.id, [reject(reason, retry_after="5")])
    answer = await send(web_push, subscription, "hello")
    assert (answer["status"], answer["headers"]["retry-after"]) == (status, "5")
    assert (await send(web_push, subscription, "hello"))["status"] == 201


async def test_subscriptions_end(web_push: WebPushDouble) -> None:
    subscription = web_push.subscribe()
    web_push.unsubscribe(subscription)
    assert (await send(web_push, subscription, "hello"))["status"] == 410
    unknown = {**subscription.document, "endpoint": f"{web_push.url}/push/unknown"}
    assert (await send(web_push, subscription, "hello", unknown))["status"] == 404


async def test_a_body_for_another_browser_is_refused(web_push: WebPushDouble) -> None:
    subscription, other = web_push.subscribe(), web_push.subscribe()
    mixed = {**subscription.document, "keys": other.document["keys"]}
    answer = await send(web_push, subscription, "hello", mixed)
    assert (answer["status"], answer["body"]) == (400, "It was not encrypted for this subscription.")
    assert web_push.received[0].payload is None


async def test_a_subscription_may_be_for_one_server_only(web_push: WebPushDouble) -> None:
    first = await send(web_push, web_push.subscribe(), "hello")
    answer = await send(web_push, web_push.subscribe(first["publicKey"]), "hello")
    assert (answer["status"], answer["body"]) == (403, "The subscription is for another application server.")


class ByHand:
    """A sender that may leave out or change every header."""

    def __init__(self, double: WebPushDouble) -> None:
        self.double = double
        self.subscription = double.subscribe()
        self._key = ECKey.generate_key("P-256")

    def vapid(self, **changed: Any) -> str:
        now = self.double.clock.now_ms() // 1000
        claims = {"aud": self.double.url, "exp": now + 3600, "sub": "mailto:a@example.com", **changed}
        said = jwt.encode({"alg": "ES256"}, {name: value for name, value in claims.items() if value}, self._key)
        public = self._key.as_dict(private=False)
        point = jwt_bytes(b"\4", str(public["x"]), str(public["y"]))
        return f"vapid t={said}, k={point}"

    async def post(self, body: bytes = b"", method: str = "POST", **changed: str | None) -> tuple[int, str]:
        headers = {"authorization": self.vapid(), "ttl": "0", "content-encoding": "aes128gcm"}
        wanted = {name: value for name, value in {**headers, **changed}.items() if value is not None}
        tls = ssl.create_default_context(cafile=str(self.double.ca_file))
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.subscription.endpoint, data=body, headers=wanted, ssl=tls) as answer,
        ):
            return answer.status, await answer.text()


def jwt_bytes(prefix: bytes, *numbers: str) -> str:
    """base64url of a point."""
    raw = prefix + b"".join(base64.urlsafe_b64decode(number + "=") for number in numbers)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_every_header_is_looked_at(tmp_path: Path) -> None:
    async with WebPushDouble(tmp_path, clock=ManualClock()) as double:
        sender = ByHand(double)
        now = double.clock.now_ms() // 1000
        assert await sender.post() == (201, "")
        for changed, status, why in [
            ({"ttl": None}, 400, "TTL is missing"),
            ({"ttl": "-1"}, 400, "TTL is missing"),
            ({"urgency": "urgent"}, 400, "Urgency"),
            ({"topic": "a" * 33}, 400, "Topic"),
            ({"authorization": None}, 401, "VAPID"),
            ({"authorization": "vapid t=a.b.c, k=abc"}, 401, "VAPID"),
            ({"authorization": sender.vapid(exp=now - 1)}, 403, "exp"),
            ({"authorization": sender.vapid(exp=now + 86_401)}, 403, "exp"),
            ({"authorization": sender.vapid(exp=None)}, 403, "exp"),
            ({"authorization": sender.vapid(aud="https://push.example.com")}, 403, "aud"),
        ]:
            answer = await sender.post(**changed)
            assert answer[0] == status, changed
            assert why in answer[1]
        assert (await sender.post(b"plain", **{"content-encoding": None}))[0] == 415
        assert (await sender.post(b"x" * 4097))[0] == 413
        assert (await sender.post(b"x" * 10))[0] == 400
        assert (await sender.post(b"x" * 20 + b"\x41" + b"\4" * 200))[0] == 400
        assert (await sender.post(method="GET"))[0] == 405
