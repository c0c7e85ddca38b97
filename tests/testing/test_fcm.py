"""The FCM double: messages:send over HTTP/1.1 and HTTP/2, every error code, and the rules for a message."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from joserfc import jwt

from ringback.clock import ManualClock
from ringback.testing import (
    ACCEPT,
    BAD_REQUEST,
    FCM_PREFIXES,
    FCM_STATUSES,
    Behaviour,
    FcmDouble,
    drop,
    go_away,
    reject,
    reset,
)
from tests.testing.client import Client, ConnectionWasLost, StreamWasReset

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
FIELD_ERROR = "type.googleapis.com/google.rpc.BadRequest"


@dataclass
class Sender:
    """A client over HTTP/1.1, with an access token once it has fetched one."""

    double: FcmDouble
    session: aiohttp.ClientSession
    access_token: str = ""

    async def fetch(self, *, key: Any = None, form: dict[str, str] | None = None, **changed: Any) -> tuple[int, Any]:
        """Asks for an access token; `changed` are claims of the assertion, None = left out."""
        account, now = self.double.account, self.double.clock.now_ms() // 1000
        claims = {"iss": account.email, "scope": SCOPE, "aud": self.double.token_url, "iat": now, "exp": now + 3600}
        claims = {name: value for name, value in {**claims, **changed}.items() if value is not None}
        assertion = jwt.encode({"alg": "RS256", "kid": account.key_id}, claims, key or account.key)
        fields = form or {"grant_type": GRANT, "assertion": assertion}
        async with self.session.post(self.double.token_url, data=fields) as answer:
            said = await answer.json()
            self.access_token = said.get("access_token", self.access_token)
            return answer.status, said

    async def send(self, message: Any, *, project: str = "ringback-test", raw: bytes | None = None) -> Reply:
        url = f"{self.double.url}/v1/projects/{project}/messages:send"
        headers = {"authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        body = json.dumps({"message": message}).encode() if raw is None else raw
        async with self.session.post(url, data=body, headers=headers) as answer:
            return Reply(
                answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.json()
            )


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    document: Any

    @property
    def word(self) -> str:
        """The status of google.rpc."""
        return str(self.document["error"]["status"])

    @property
    def detail(self) -> Any:
        return self.document["error"]["details"][0]


@pytest.fixture
async def fcm(tmp_path: Path, clock: ManualClock) -> AsyncIterator[FcmDouble]:
    async with FcmDouble(tmp_path, clock=clock) as double:
        yield double


@pytest.fixture
async def sender(fcm: FcmDouble) -> AsyncIterator[Sender]:
    tls = ssl.create_default_context(cafile=str(fcm.ca_file))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        sender = Sender(fcm, session)
        assert (await sender.fetch())[0] == 200
        yield sender


async def test_a_message_is_accepted_and_recorded(fcm: FcmDouble, sender: Sender) -> None:
    message = {"token": "abc", "data": {"body": "x"}, "android": {"priority": "HIGH", "ttl": "0s"}}
    reply = await sender.send(message)
    assert reply.status == 200
    [push] = await fcm.wait_for(1)
    assert reply.document == {"name": push.push_id}
    assert push.push_id.startswith("projects/ringback-test/messages/")
    assert (push.push_token, push.payload, push.http) == ("abc", {"message": message}, "http/1.1")
    assert (push.connection, push.stream) == (1, 2), "one connection: the access token, then the message"


async def test_a_phone_may_be_named_by_its_installation(fcm: FcmDouble, sender: Sender) -> None:
    await sender.fetch()
    fcm.script("fid-1", [reject("UNREGISTERED"), ACCEPT])
    answers = [await sender.send({"fid": fid, "data": {"a": "b"}}) for fid in ("fid-1", "fid-1", "unregistered-2")]
    assert [one.status for one in answers] == [404, 200, 404]
    assert [one.push_token for one in fcm.accepted] == ["fid-1"]
    refused = await sender.send({"fid": "a", "token": "b"})
    assert (refused.status, refused.detail["fieldViolations"][0]["field"]) == (400, "message")


async def test_it_speaks_http2_on_the_same_port(fcm: FcmDouble, sender: Sender) -> None:
    client = await Client.open(fcm.url, fcm.ca_file)
    headers = [("authorization", f"Bearer {sender.access_token}"), ("content-type", "application/json")]
    path = "/v1/projects/ringback-test/messages:send"
    fcm.next(ACCEPT, reject("UNAVAILABLE", retry_after="9"), reset(7), go_away(b"session_timed_out"))
    answer = await client.request(path, headers, b'{"message":{"token":"a"}}')
    assert (answer.status, answer.json["name"]) == (200, fcm.received[0].push_id)
    answer = await client.request(path, headers, b'{"message":{"token":"a"}}')
    assert (answer.status, answer.headers["retry-after"]) == (503, "9")
    with pytest.raises(StreamWasReset):
        await client.request(path, headers, b'{"message":{"token":"a"}}')
    assert (await client.request(path, headers, b'{"message":{"token":"a"}}')).status == 200
    await client.until_lost()
    assert client.goaways[0].debug == b"session_timed_out"
    assert [push.http for push in fcm.received] == ["h2"] * 4


async def test_without_an_access_token_it_asks_who_is_there(fcm: FcmDouble, sender: Sender, clock: ManualClock) -> None:
    good = sender.access_token
    for wrong in ("", "ya29.invented"):
        sender.access_token = wrong
        reply = await sender.send({"token": "a"})
        assert (reply.status, reply.word) == (401, "UNAUTHENTICATED")
    sender.access_token = good
    clock.advance(3598)
    assert (await sender.send({"token": "a"})).status == 200
    clock.advance(1)
    assert (await sender.send({"token": "a"})).status == 401
    await sender.fetch()
    assert (await sender.send({"token": "a"})).status == 200
    fcm.forget_access_tokens()
    assert (await sender.send({"token": "a"})).status == 401


async def test_another_project_is_denied(sender: Sender) -> None:
    reply = await sender.send({"token": "a"}, project="another")
    assert (reply.status, reply.word) == (403, "PERMISSION_DENIED")
    assert "details" not in reply.document["error"], "not a word about the push token"


@pytest.mark.parametrize("code", sorted(FCM_STATUSES))
async def test_every_error_code_can_be_scripted(fcm: FcmDouble, sender: Sender, code: str) -> None:
    fcm.script("abc", [reject(code, retry_after="30"), ACCEPT])
    reply = await sender.send({"token": "abc"})
    assert (reply.status, reply.word) == FCM_STATUSES[code][:2]
    assert reply.document["error"]["code"] == reply.status
    assert reply.detail == {"@type": FCM_ERROR, "errorCode": code}
    assert reply.headers["retry-after"] == "30"
    assert (await sender.send({"token": "abc"})).status == 200
    assert [(push.status, push.reason) for push in fcm.received] == [(reply.status, code), (200, "")]


@pytest.mark.parametrize("prefix", sorted(prefix for prefix, does in FCM_PREFIXES.items() if does.reason))
async def test_a_push_token_says_by_its_beginning_what_happens_to_it(sender: Sender, prefix: str) -> None:
    expected = FCM_PREFIXES[prefix]
    reply = await sender.send({"token": f"{prefix}1"})
    if expected.reason == BAD_REQUEST:
        assert (reply.status, reply.detail["@type"]) == (400, FIELD_ERROR)
        return
    assert (reply.status, reply.detail["errorCode"]) == (FCM_STATUSES[expected.reason][0], expected.reason)
    assert reply.headers.get("retry-after", "") == expected.retry_after


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"data": {}}, "message"),
        ({"token": "a", "topic": "b"}, "message"),
        ({"token": 1}, "message.token"),
        ({"token": "a", "priority": "HIGH"}, "message"),
        ({"token": "a", "data": {"first": "1", "number": 1}}, "message.data[1].value"),
        ({"token": "a", "data": {"google.x": "1"}}, "message.data[0].key"),
        ({"token": "a", "data": ["x"]}, "message.data"),
        ({"token": "a", "android": {"ttl": "60"}}, "message.android.ttl"),
        ({"token": "a", "android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"token": "a", "android": {"ttl": 60}}, "message.android.ttl"),
        ({"token": "a", "android": {"priority": "URGENT"}}, "message.android.priority"),
        ({"token": "a", "android": {"collapseKey": 1}}, "message.android.collapse_key"),
        ({"token": "a", "android": {"data": {"n": None}}}, "message.android.data[0].value"),
        ({"token": "a", "android": {"unknown": 1}}, "message.android"),
        ({"token": "a", "notification": "text"}, "message.notification"),
        (None, "message"),
    ],
)
async def test_a_wrong_field_is_named_and_is_not_the_push_tokens_fault(
    sender: Sender, message: Any, field: str
) -> None:
    reply = await sender.send(message)
    assert (reply.status, reply.word, reply.detail["@type"]) == (400, "INVALID_ARGUMENT", FIELD_ERROR)
    assert [violation["field"] for violation in reply.detail["fieldViolations"]] == [field]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"message":{"token":"a"},"more":1}'])
async def test_what_is_no_request_is_refused(sender: Sender, raw: bytes) -> None:
    reply = await sender.send(None, raw=raw)
    assert (reply.status, reply.detail["@type"]) == (400, FIELD_ERROR)


async def test_names_may_be_written_in_both_ways(sender: Sender) -> None:
    message = {"topic": "news", "android": {"collapseKey": "a", "priority": "high", "ttl": "2419200s"}}
    assert (await sender.send({**message, "fcmOptions": {}})).status == 200
    assert (await sender.send({**message, "fcm_options": {}, "condition": ""})).status == 200
    dry = await sender.send(None, raw=b'{"validateOnly":true,"message":{"token":"a"}}')
    assert dry.document["name"] == "projects/ringback-test/messages/fake_message_id"


async def test_a_message_has_at_most_4096_bytes(sender: Sender) -> None:
    assert (await sender.send({"token": "a", "data": {"body": "x" * 4092}})).status == 200
    reply = await sender.send({"token": "a", "data": {"body": "x" * 4093}})
    assert (reply.status, reply.detail["errorCode"]) == (400, "INVALID_ARGUMENT")
    assert reply.document["error"]["message"] == "Android message is too big"


async def test_the_quota_is_filled_up_every_minute(fcm: FcmDouble, sender: Sender, clock: ManualClock) -> None:
    fcm.quota = 2
    clock.advance(15 - clock.now_ms() / 1000 % 60)
    assert [(await sender.send({"token": "a"})).status for _ in range(2)] == [200, 200]
    reply = await sender.send({"token": "a"})
    assert (reply.status, reply.word, reply.headers["retry-after"]) == (429, "RESOURCE_EXHAUSTED", "45")
    assert reply.detail["errorCode"] == "QUOTA_EXCEEDED"
    assert reply.document["error"]["details"][1]["violations"][0]["subject"] == "project:ringback-test"
    clock.advance(45)
    assert (await sender.send({"token": "a"})).status == 200


async def test_http1_has_only_the_connection_to_cut(fcm: FcmDouble, sender: Sender) -> None:
    for behaviour in (drop(), reset(7)):
        fcm.next(behaviour)
        with pytest.raises(aiohttp.ClientError):
            await sender.send({"token": "a"})
    fcm.next(go_away())
    assert (await sender.send({"token": "a"})).status == 200
    assert (await sender.send({"token": "a"})).status == 200
    assert len({push.connection for push in fcm.received}) == 4


async def test_an_answer_may_be_no_json(fcm: FcmDouble, sender: Sender) -> None:
    fcm.next(Behaviour(status=502, body=b"<html>", retry_after="3"))
    with pytest.raises(aiohttp.ContentTypeError):
        await sender.send({"token": "a"})
    assert (fcm.received[0].status, fcm.received[0].payload["message"]["token"]) == (502, "a")


async def test_other_addresses_are_not_found(fcm: FcmDouble, sender: Sender) -> None:
    async with sender.session.post(f"{fcm.url}/fcm/send") as answer:
        assert answer.status == 404


async def test_http2_clients_are_cut_like_others(fcm: FcmDouble) -> None:
    client = await Client.open(fcm.url, fcm.ca_file)
    waiting = client.send("/v1/projects/x/messages:send", [], b"{", parts=1)
    fcm.drop_connections()
    with pytest.raises(ConnectionWasLost):
        await waiting
