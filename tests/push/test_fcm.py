"""FCM, over real TLS and HTTP/2 to the double: messages, access tokens, and what follows from each answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from ringback.protocols import jwe
from ringback.push.content import Content
from ringback.push.fcm import FcmProvider
from ringback.push.reactions import FCM_REACTIONS, Verdict
from ringback.store import Store
from ringback.testing import BAD_REQUEST, FCM_STATUSES, Behaviour, FcmDouble, drop, go_away, reject, reset, silence
from tests.push.at_providers import (
    Source,
    call,
    fcm_at,
    in_a_hurry,
    now,
    push_to,
    service_account,
    tokens,
    until,
    until_delivered,
)

TOKEN = "eXample:APA91b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keeps the RSA key of the service account, which takes long to make."""
    return tmp_path_factory.mktemp("google")


@pytest.fixture
async def double(folder: Path) -> AsyncIterator[FcmDouble]:
    """FCM and Google's token endpoint."""
    async with FcmDouble(folder) as fcm:
        yield fcm


@pytest.fixture
def source(double: FcmDouble) -> Source:
    """The app `bank` with the double's service account."""
    return Source(service_account(double))


@pytest.fixture
async def provider(double: FcmDouble, source: Source, sqlite: Store) -> AsyncIterator[FcmProvider]:
    """Sends to the double."""
    async with fcm_at(double, source, sqlite) as fcm:
        yield fcm


async def test_what_fcm_gets(double: FcmDouble, source: Source, sqlite: Store) -> None:
    clock = now()
    push = push_to(TOKEN, kind="fcm", deadline_at=clock.now_ms() + 90_000)
    async with fcm_at(double, source, sqlite, clock=clock) as provider:
        reaction = await provider.send(push)
    [got] = double.received
    assert (reaction.verdict, reaction.provider_id) == (Verdict.DELIVERED, got.push_id)
    assert (got.path, got.http) == ("/v1/projects/ringback-test/messages:send", "h2")
    message = got.payload["message"]
    assert message["token"] == TOKEN
    assert message["notification"] == {"title": "Hello", "body": "World"}
    assert message["android"]["priority"] == "HIGH"
    assert message["android"]["ttl"] == "90s"
    assert message["data"]["pushid"] == push.id


@pytest.mark.parametrize(
    ("content", "priority", "ttl"),
    [
        (Content(push_id="", silent=True), "NORMAL", None),
        (Content(push_id="", title="x"), "HIGH", None),
        (call(), "HIGH", "0s"),
    ],
)
async def test_each_kind_of_push(
    double: FcmDouble, provider: FcmProvider, content: Content, priority: str, ttl: str | None
) -> None:
    assert (await provider.send(push_to(TOKEN, kind="fcm", content=content))).verdict is Verdict.DELIVERED
    android = double.received[0].payload["message"]["android"]
    assert (android["priority"], android.get("ttl")) == (priority, ttl)


async def test_with_a_key_nothing_is_readable_on_the_way(double: FcmDouble, provider: FcmProvider) -> None:
    key = b"K" * 32
    await provider.send(push_to(TOKEN, kind="fcm", encryption_key=key))
    [got] = double.received
    assert b"World" not in got.body
    assert b"World" in jwe.decrypt(got.payload["message"]["data"]["body"], key)


@pytest.mark.parametrize("code", [*FCM_STATUSES, BAD_REQUEST])
async def test_every_row_of_the_table(double: FcmDouble, provider: FcmProvider, source: Source, code: str) -> None:
    double.always(reject(code))
    reaction = await provider.send(push_to(TOKEN, kind="fcm"))
    expected = {
        rule.verdict
        for (_, known, said_by), rule in FCM_REACTIONS.items()
        if (known == code and said_by == "FcmError") or (code == BAD_REQUEST and said_by == "BadRequest")
    }
    assert {reaction.verdict} == expected
    assert source.status("fcm") == ("SUSPECT" if reaction.verdict is Verdict.SUSPECT else "OK")


@pytest.mark.parametrize(("header", "least"), [("40", 40), ("", 60)])
async def test_quota(double: FcmDouble, provider: FcmProvider, header: str, least: int) -> None:
    double.always(reject("QUOTA_EXCEEDED", retry_after=header))
    seconds = (await provider.send(push_to(TOKEN, kind="fcm"))).retry_after_seconds
    assert seconds is not None
    assert least <= seconds <= least * 1.25


async def test_quota_of_the_project(folder: Path, sqlite: Store) -> None:
    clock = now()
    async with (
        FcmDouble(folder, quota=5, clock=clock) as double,
        fcm_at(double, Source(service_account(double)), sqlite, clock=clock) as provider,
    ):
        reactions = [await provider.send(push_to(TOKEN, kind="fcm")) for _ in range(7)]
    assert [reaction.verdict for reaction in reactions] == [Verdict.DELIVERED] * 5 + [Verdict.RETRY] * 2
    assert all(0 < (reaction.retry_after_seconds or 0) <= 75 for reaction in reactions[5:])
    assert [reaction.stops_all for reaction in reactions] == [False] * 5 + [True] * 2


async def test_a_push_that_no_provider_would_take(double: FcmDouble, provider: FcmProvider, source: Source) -> None:
    too_large = Content(push_id="", title="x", extras={"blob": "y" * 5000})
    reaction = await provider.send(push_to(TOKEN, kind="fcm", content=too_large))
    assert (reaction.verdict, reaction.reason) == (Verdict.FAILED, "extras")
    source.clear()
    assert (await provider.send(push_to(TOKEN, kind="fcm"))).verdict is Verdict.PARK
    assert double.received == []


# access tokens --------------------------------------------------------------------------------------------------------


async def test_one_access_token_for_all(double: FcmDouble, source: Source, sqlite: Store) -> None:
    clock = now()
    async with (
        fcm_at(double, source, sqlite, clock=clock) as one,
        fcm_at(double, source, sqlite, clock=clock, shared=tokens(sqlite, clock)) as other,
    ):
        sending = [one.send(push_to(TOKEN, kind="fcm")) for _ in range(200)]
        assert {reaction.verdict for reaction in await asyncio.gather(*sending)} == {Verdict.DELIVERED}
        assert (await other.send(push_to(TOKEN, kind="fcm"))).verdict is Verdict.DELIVERED
    assert [answer.status for answer in double.token_requests] == [200]
    assert len({got.headers["authorization"] for got in double.received}) == 1


async def test_renewed_before_it_runs_out(folder: Path, sqlite: Store) -> None:
    clock = now()
    async with (
        FcmDouble(folder, clock=clock) as double,
        fcm_at(double, Source(service_account(double)), sqlite, clock=clock) as provider,
    ):
        for minutes in (0, 40, 12):
            clock.advance(minutes * 60)
            assert (await provider.send(push_to(TOKEN, kind="fcm"))).verdict is Verdict.DELIVERED
        async with asyncio.timeout(60):
            while len({got.headers["authorization"] for got in double.received}) == 1:
                await until_delivered(provider)
        double.next_token(silence())
        clock.advance(52 * 60)
        assert (await provider.send(push_to(TOKEN, kind="fcm"))).verdict is Verdict.DELIVERED
        await until(lambda: len(double.token_requests) == 3)


async def test_an_access_token_that_fcm_forgot(double: FcmDouble, sqlite: Store, source: Source) -> None:
    clock = now()
    async with fcm_at(double, source, sqlite, clock=clock) as provider:
        assert (await provider.send(push_to(TOKEN, kind="fcm"))).verdict is Verdict.DELIVERED
        double.forget_access_tokens()
        clock.advance(120)
        sending = [provider.send(push_to(TOKEN, kind="fcm")) for _ in range(20)]
        assert {reaction.verdict for reaction in await asyncio.gather(*sending)} == {Verdict.DELIVERED}
        assert len(double.token_requests) == 2
        double.forget_access_tokens()
        reaction = await provider.send(push_to(TOKEN, kind="fcm"))
        assert (reaction.verdict, reaction.reason) == (Verdict.PARK, "UNAUTHENTICATED")
    assert source.status("fcm") == "REFUSED"


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"])
async def test_a_service_account_that_is_refused(
    double: FcmDouble, provider: FcmProvider, source: Source, error: str
) -> None:
    double.next_token(reject(error))
    reaction = await provider.send(push_to(TOKEN, kind="fcm"))
    assert (reaction.verdict, reaction.status) == (Verdict.PARK, 400)
    assert reaction.reason.startswith(error)
    assert source.status("fcm") == "REFUSED"
    assert (await provider.send(push_to(TOKEN, kind="fcm"))).verdict is Verdict.PARK
    assert len(double.token_requests) == 1


async def test_a_wrong_clock_is_named(double: FcmDouble, source: Source, sqlite: Store) -> None:
    clock = now()
    clock.advance(-7_200)
    async with fcm_at(double, source, sqlite, clock=clock) as provider:
        reaction = await provider.send(push_to(TOKEN, kind="fcm"))
    assert reaction.verdict is Verdict.PARK
    assert "clock" in reaction.sentence


async def test_a_service_account_of_another_project(double: FcmDouble, sqlite: Store) -> None:
    source = Source(service_account(double, project_id="another-project"))
    async with fcm_at(double, source, sqlite) as provider:
        reaction = await provider.send(push_to(TOKEN, kind="fcm"))
    assert (reaction.verdict, reaction.reason) == (Verdict.PARK, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(status=503, reason="away"),
        Behaviour(status=429, reason="slow", retry_after="7"),
        Behaviour(body=b"<html>"),
        Behaviour(body=b'{"access_token":3}'),
        Behaviour(body=b'{"access_token":"a\\nb"}'),
        Behaviour(body=b'{"access_token":"a","expires_in":-1}'),
        drop(),
    ],
)
async def test_a_token_endpoint_in_trouble(
    double: FcmDouble, source: Source, sqlite: Store, behaviour: Behaviour
) -> None:
    clock = now()
    labels = {"provider": "fcm", "status": "retry", "reason": "other"}
    before = REGISTRY.get_sample_value("ringback_push_answers_total", labels) or 0
    async with fcm_at(double, source, sqlite, clock=clock) as provider:
        double.next_token(behaviour)
        for _ in range(3):
            reaction = await provider.send(push_to(TOKEN, kind="fcm"))
            assert reaction.verdict is Verdict.RETRY
            assert "access token" in reaction.reason
        assert len(double.token_requests) == 1
        assert REGISTRY.get_sample_value("ringback_push_answers_total", labels) == before + 3
        clock.advance(6)
        await until_delivered(provider)
    assert source.status("fcm") == "OK"


async def test_a_token_endpoint_that_is_silent(folder: Path, sqlite: Store) -> None:
    clock = now()
    async with FcmDouble(folder, clock=clock) as double:
        source = Source(service_account(double))
        async with fcm_at(double, source, sqlite, clock=clock) as provider:
            await until_delivered(provider)
            clock.advance(3_600)  # the access token has run out, and there is a connection to ask for the next one
            double.next_token(silence())
            endpoint = provider._endpoint._connections
            assert endpoint is not None
            with in_a_hurry(endpoint):
                for _ in range(3):
                    reaction = await provider.send(push_to(TOKEN, kind="fcm"))
                    assert reaction.verdict is Verdict.RETRY
                    assert "access token" in reaction.reason
            assert len(double.token_requests) == 2
            clock.advance(6)
            await until_delivered(provider)
        assert source.status("fcm") == "OK"


async def test_the_token_endpoint_is_the_servers_own(double: FcmDouble, source: Source, sqlite: Store) -> None:
    async with fcm_at(double, source, sqlite, token_url=f"{double.url}/elsewhere") as provider:
        assert (await provider.send(push_to(TOKEN, kind="fcm"))).verdict is not Verdict.DELIVERED
    assert double.token_requests == []


async def test_an_access_token_that_was_fetched_beforehand(
    double: FcmDouble, source: Source, provider: FcmProvider
) -> None:
    await provider.make_ready("bank")
    await provider.make_ready("bank")
    assert len(double.token_requests) == 1
    assert (await provider.send(push_to(TOKEN, kind="fcm"))).verdict is Verdict.DELIVERED
    assert len(double.token_requests) == 1
    assert source.reports == []


async def test_what_cannot_be_fetched_beforehand_is_left_to_the_push(
    double: FcmDouble, source: Source, provider: FcmProvider
) -> None:
    await provider.make_ready("unknown")
    double.next_token(reject("invalid_grant"))
    await provider.make_ready("bank")
    assert (len(double.token_requests), source.reports) == (1, [])
    assert (await provider.send(push_to(TOKEN, kind="fcm"))).verdict is Verdict.PARK
    assert source.status("fcm") == "REFUSED"
    await provider.make_ready("bank")
    assert len(double.token_requests) == 1


# the network ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "verdict"),
    [
        (silence(), Verdict.UNKNOWN),
        (drop(), Verdict.UNKNOWN),
        (reset(2), Verdict.UNKNOWN),
        (reset(7), Verdict.DELIVERED),
        (go_away(b"session_timed_out"), Verdict.DELIVERED),
        (go_away(b"too_many_pings", close="at once"), Verdict.UNKNOWN),
    ],
)
async def test_what_becomes_of_a_push_that_gets_no_answer(
    double: FcmDouble, source: Source, sqlite: Store, behaviour: Behaviour, verdict: Verdict
) -> None:
    async with fcm_at(double, source, sqlite) as provider:
        await until_delivered(provider)
        double.next(behaviour)
        never_answered = in_a_hurry(*provider._pools._open.values())
        with never_answered if verdict is Verdict.UNKNOWN else contextlib.nullcontext():
            assert (await provider.send(push_to(TOKEN, kind="fcm"))).verdict is verdict
        await until_delivered(provider)
    assert source.reports == []


async def test_apps_do_not_share_connections(double: FcmDouble, source: Source, sqlite: Store) -> None:
    source.put(service_account(double), app_id="other")
    async with fcm_at(double, source, sqlite) as provider:
        for app_id in ("bank", "other") * 2:
            await provider.send(push_to(TOKEN, kind="fcm", app_id=app_id))
    assert len({got.connection for got in double.received}) == 2
    assert len(double.token_requests) == 1
