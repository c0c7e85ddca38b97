"""APNs, over real TLS and HTTP/2 to the double: what is sent, and what follows from each answer."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from prometheus_client import REGISTRY

from ringback.http2 import Backend
from ringback.protocols import jwe
from ringback.push.apns import ApnsProvider
from ringback.push.content import Content, LiveActivity
from ringback.push.reactions import APNS_REACTIONS, Verdict
from ringback.store import Store
from ringback.testing import ApnsDouble, go_away, reject
from tests.push.at_providers import BUNDLE, PHONE, Source, apns_at, call, now, push_to, token_key


@pytest.fixture
async def double(tmp_path: Path) -> AsyncIterator[ApnsDouble]:
    """APNs, with a key that may be changed as often as one likes."""
    async with ApnsDouble(tmp_path / "apple", update_rule=False) as apns:
        yield apns


@pytest.fixture
def source(double: ApnsDouble) -> Source:
    """The app `bank` with the double's key."""
    return Source(token_key(double.key))


@pytest.fixture
async def provider(double: ApnsDouble, source: Source, sqlite: Store) -> AsyncIterator[ApnsProvider]:
    """Sends to the double."""
    async with apns_at(double, source, sqlite) as apns:
        yield apns


async def test_what_apns_gets(double: ApnsDouble, provider: ApnsProvider) -> None:
    deadline = now().now_ms() + 60_000
    push = push_to(deadline_at=deadline)
    reaction = await provider.send(push)
    assert (reaction.verdict, reaction.provider_id) == (Verdict.DELIVERED, push.id)
    [got] = double.received
    assert got.path == f"/3/device/{PHONE}"
    assert got.headers["apns-id"] == push.id == str(uuid.UUID(push.id))
    assert got.headers["apns-topic"] == BUNDLE
    assert got.headers["apns-push-type"] == "alert"
    assert got.headers["apns-priority"] == "10"
    assert got.headers["apns-expiration"] == str(deadline // 1000)
    assert got.headers["apns-collapse-id"] == push.id
    assert got.payload["aps"]["alert"] == {"title": "Hello", "body": "World"}


@pytest.mark.parametrize(
    ("kind", "content", "push_type", "topic", "priority", "expiration", "collapse_id"),
    [
        ("apns", Content(push_id="", title="x", collapse_id="news"), "alert", "", "10", None, "news"),
        ("apns", Content(push_id="", silent=True), "background", "", "5", None, None),
        ("apns", Content(push_id="", silent=True, collapse_id="sync"), "background", "", "5", None, "sync"),
        ("apns-voip", call(), "voip", ".voip", "10", "0", None),
        (
            "apns",
            Content(
                push_id="",
                purpose="live_activity",
                live_activity=LiveActivity(event="update", timestamp=1, content_state={"taxi": "2 min"}),
            ),
            "liveactivity",
            ".push-type.liveactivity",
            "10",
            None,
            None,
        ),
    ],
)
async def test_each_kind_of_push(
    double: ApnsDouble,
    provider: ApnsProvider,
    kind: str,
    content: Content,
    push_type: str,
    topic: str,
    priority: str,
    expiration: str | None,
    collapse_id: str | None,
) -> None:
    assert (await provider.send(push_to(kind=kind, content=content))).verdict is Verdict.DELIVERED
    [got] = double.received
    assert (got.push_type, got.topic, got.headers["apns-priority"]) == (push_type, BUNDLE + topic, priority)
    assert got.headers.get("apns-expiration") == expiration
    assert (got.headers.get("apns-collapse-id") if kind == "apns" else None) == (
        got.push_id if collapse_id is None and push_type == "alert" else collapse_id
    )


async def test_a_call_is_kept_for_as_long_as_it_rings(double: ApnsDouble, provider: ApnsProvider) -> None:
    rings_until = now().now_ms() + 30_000
    await provider.send(push_to(kind="apns-voip", content=call(ring_expires_at=rings_until), deadline_at=rings_until))
    assert double.received[0].headers["apns-expiration"] == str(rings_until // 1000)


async def test_long_collapse_ids_are_digested(double: ApnsDouble, provider: ApnsProvider) -> None:
    for collapse_id in ("x" * 65, "Ünicode", "with space", "line\nbreak"):
        content = Content(push_id="", title="x", collapse_id=collapse_id)
        assert (await provider.send(push_to(content=content))).verdict is Verdict.DELIVERED
        assert re.fullmatch("[0-9a-f]{64}", double.received[-1].headers["apns-collapse-id"])


async def test_with_a_key_nothing_is_readable_on_the_way(double: ApnsDouble, provider: ApnsProvider) -> None:
    key = b"K" * 32
    await provider.send(push_to(encryption_key=key))
    await provider.send(push_to(encryption_key=key))
    first, second = double.received
    assert b"World" not in first.body
    assert b"World" in jwe.decrypt(first.payload["data"], key)
    assert first.payload["data"].split(".")[2] != second.payload["data"].split(".")[2]


SCRIPTED = [row for row in APNS_REACTIONS if row[1]]
INSIDE = {"OTHER_ENVIRONMENT": "DELETE_PUSH_TOKEN", "NEW_PROVIDER_TOKEN": "PARK"}
"""What becomes of an answer that the provider deals with by itself, when the next one is the same."""


@pytest.mark.parametrize(("status", "reason"), SCRIPTED)
async def test_every_row_of_the_table(
    double: ApnsDouble, provider: ApnsProvider, source: Source, status: int, reason: str
) -> None:
    double.always(reject(reason, status=status, timestamp_ms=1_700_000_000_000))
    before = answers(status, reason)
    reaction = await provider.send(push_to())
    rule = APNS_REACTIONS[status, reason]
    assert reaction.verdict == INSIDE.get(rule.verdict, rule.verdict)
    assert (reaction.reason, reaction.status) == (reason, status)
    assert reaction.unregistered_at == (1_700_000_000_000 if status == 410 else None)
    assert answers(status, reason) == before + len(double.received)
    marked = {"PARK": "REFUSED", "SUSPECT": "SUSPECT"}.get(reaction.verdict, "OK")
    assert source.status() == ("SUSPECT" if reason == "TooManyProviderTokenUpdates" else marked)


def answers(status: int, reason: str) -> float:
    labels = {"provider": "apns", "status": str(status), "reason": reason}
    return REGISTRY.get_sample_value("ringback_push_answers_total", labels) or 0


async def test_an_unheard_of_reason_is_not_counted_by_its_name(double: ApnsDouble, provider: ApnsProvider) -> None:
    double.always(reject("Surprise", status=400))
    assert (await provider.send(push_to())).reason == "Surprise"
    assert answers(400, "Surprise") == 0
    assert answers(400, "other") >= 1


async def test_a_pause_is_kept_and_a_little_more(double: ApnsDouble, provider: ApnsProvider) -> None:
    double.always(reject("ServiceUnavailable", retry_after="100"))
    seconds = (await provider.send(push_to())).retry_after_seconds
    assert seconds is not None
    assert 100 <= seconds <= 125


async def test_a_push_token_that_is_no_path(double: ApnsDouble, provider: ApnsProvider) -> None:
    for wrong in ("", "../../x", "zz" * 32, PHONE + "?x=1", PHONE + "\r\n", "ab" * 300):
        assert (await provider.send(push_to(wrong))).verdict is Verdict.DELETE_PUSH_TOKEN
    assert double.received == []


async def test_a_push_that_no_provider_would_take(double: ApnsDouble, provider: ApnsProvider) -> None:
    too_large = Content(push_id="", title="x", extras={"blob": "y" * 5000})
    reaction = await provider.send(push_to(content=too_large))
    assert (reaction.verdict, reaction.reason) == (Verdict.FAILED, "extras")
    assert (await provider.send(push_to(kind="apns-voip"))).verdict is Verdict.FAILED
    assert (await provider.send(push_to(deadline_at=1))).reason == "too late"
    assert double.received == []


async def test_an_app_without_a_credential_waits_for_one(
    double: ApnsDouble, provider: ApnsProvider, source: Source
) -> None:
    source.clear()
    assert (await provider.send(push_to())).verdict is Verdict.PARK
    source.put(token_key(double.key))
    assert (await provider.send(push_to())).verdict is Verdict.DELIVERED


@pytest.mark.parametrize("backend", ["ngh2", "h2"])
async def test_thousands_at_once(double: ApnsDouble, source: Source, sqlite: Store, backend: Backend) -> None:
    async with apns_at(double, source, sqlite, backend=backend) as provider:
        reactions = await asyncio.gather(*(provider.send(push_to()) for _ in range(1000)))
    assert {reaction.verdict for reaction in reactions} == {Verdict.DELIVERED}
    assert len({got.headers["apns-id"] for got in double.received}) == len(double.received) == 1000
    assert double.violations == []
    assert len({got.headers["authorization"] for got in double.received}) == 1


@pytest.mark.parametrize("backend", ["ngh2", "h2"])
@pytest.mark.parametrize(("last", "close"), [("newest", "drained"), ("before", "drained"), ("this", "at once")])
async def test_apns_goes_away_in_the_middle_of_a_thousand(
    double: ApnsDouble,
    source: Source,
    sqlite: Store,
    backend: Backend,
    last: Literal["newest", "before", "this"],
    close: Literal["drained", "at once"],
) -> None:
    async with apns_at(double, source, sqlite, backend=backend) as provider:
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
        double.at(500, go_away(b'{"reason":"Shutdown"}', last=last, close=close))
        pushes = [push_to() for _ in range(1000)]
        reactions = await asyncio.gather(*(provider.send(push) for push in pushes))
    delivered = {push.id for push, said in zip(pushes, reactions, strict=True) if said.verdict is Verdict.DELIVERED}
    unknown = {push.id for push, said in zip(pushes, reactions, strict=True) if said.verdict is Verdict.UNKNOWN}
    assert len(delivered) + len(unknown) == 1000
    accepted = [got.push_id for got in double.accepted[1:]]
    assert len(set(accepted)) == len(accepted)
    assert delivered <= set(accepted) <= delivered | unknown
    assert not unknown or close == "at once"
