"""APNs when something is wrong: the network, the environment, the credential, the clock."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.http2 import PoolLimits
from ringback.outbox import GiveUp
from ringback.push.apns import ApnsProvider
from ringback.push.channel import result_of
from ringback.push.content import Content, LiveActivity
from ringback.push.pools import load_certificate
from ringback.push.provider_tokens import APNS_LEAST_MS, ApnsTokens
from ringback.push.reactions import Verdict
from ringback.store import Store
from ringback.testing import ApnsDouble, Authority, drop, go_away, reject, reset, silence, slow, stream_limit
from tests.push.at_providers import (
    PHONE,
    Source,
    apns_at,
    call,
    certificate,
    in_a_hurry,
    now,
    push_to,
    token_key,
    tokens,
    until,
    until_delivered,
)


@pytest.fixture
async def double(tmp_path: Path) -> AsyncIterator[ApnsDouble]:
    """APNs in production."""
    async with ApnsDouble(tmp_path / "apple", update_rule=False) as apns:
        yield apns


@pytest.fixture
async def sandbox(tmp_path: Path, double: ApnsDouble) -> AsyncIterator[ApnsDouble]:
    """APNs in the sandbox, with the same keys and authority."""
    async with ApnsDouble(
        tmp_path / "apple", sandbox=True, keys=[double.key], authority=double.authority, update_rule=False
    ) as apns:
        yield apns


@pytest.fixture
def source(double: ApnsDouble) -> Source:
    """The app `bank` with the double's key."""
    return Source(token_key(double.key))


@pytest.fixture
async def provider(
    double: ApnsDouble, sandbox: ApnsDouble, source: Source, sqlite: Store
) -> AsyncIterator[ApnsProvider]:
    """Sends to both."""
    async with apns_at(double, source, sqlite, sandbox=sandbox) as apns:
        yield apns


# environments ---------------------------------------------------------------------------------------------------------


async def test_a_push_token_goes_where_it_belongs(
    double: ApnsDouble, sandbox: ApnsDouble, provider: ApnsProvider
) -> None:
    for environment in ("development", "production", None):
        reaction = await provider.send(push_to(environment=environment))
        assert (reaction.verdict, reaction.environment) == (Verdict.DELIVERED, None)
    assert (len(double.received), len(sandbox.received)) == (2, 1)


async def test_the_credential_says_where_the_others_go(
    sandbox: ApnsDouble, double: ApnsDouble, provider: ApnsProvider, source: Source
) -> None:
    source.put(token_key(double.key, environment="development"))
    await provider.send(push_to())
    assert (len(double.received), len(sandbox.received)) == (0, 1)


@pytest.mark.parametrize("known", [None, "production"])
async def test_a_push_token_of_the_other_environment(
    double: ApnsDouble, sandbox: ApnsDouble, provider: ApnsProvider, source: Source, known: str | None
) -> None:
    double.script(PHONE, [reject("BadDeviceToken")])
    push = push_to(environment=known)
    reaction = await provider.send(push)
    assert (reaction.verdict, reaction.environment) == (Verdict.DELIVERED, "development")
    assert [got.push_id for got in (*double.received, *sandbox.received)] == [push.id, push.id]
    assert source.reports == []


async def test_a_push_token_of_neither(double: ApnsDouble, sandbox: ApnsDouble, provider: ApnsProvider) -> None:
    double.always(reject("BadDeviceToken"))
    sandbox.always(reject("BadDeviceToken"))
    reaction = await provider.send(push_to())
    assert (reaction.verdict, reaction.reason) == (Verdict.DELETE_PUSH_TOKEN, "BadDeviceToken")
    assert (len(double.received), len(sandbox.received)) == (1, 1)


async def test_a_push_token_that_apns_does_not_know_is_not_tried_again_where_the_other_environment_is_not_reached(
    double: ApnsDouble, sandbox: ApnsDouble, provider: ApnsProvider, source: Source
) -> None:
    await sandbox.close()
    double.always(reject("BadDeviceToken"))
    push = push_to()
    reaction = await provider.send(push)
    assert (reaction.verdict, reaction.reason, reaction.status) == (Verdict.OTHER_ENVIRONMENT, "BadDeviceToken", 400)
    assert reaction.meaning.startswith("APNs does not know the push token, and the other environment was not reached: ")
    assert isinstance(result_of(reaction, push), GiveUp)
    assert source.reports == []


async def test_one_that_may_have_arrived_in_the_other_environment_is_tried_again(
    double: ApnsDouble, sandbox: ApnsDouble, provider: ApnsProvider
) -> None:
    double.always(reject("BadDeviceToken"))
    sandbox.always(reset(2))
    assert (await provider.send(push_to())).verdict is Verdict.UNKNOWN


async def test_what_the_other_environment_says_counts(
    double: ApnsDouble, sandbox: ApnsDouble, provider: ApnsProvider, source: Source
) -> None:
    double.always(reject("BadDeviceToken"))
    for said, verdict in (
        (reject("Unregistered", timestamp_ms=5_000), Verdict.DELETE_PUSH_TOKEN),
        (reject("ServiceUnavailable"), Verdict.RETRY),
        (reject("DeviceTokenNotForTopic"), Verdict.SUSPECT),
        (reject("BadEnvironmentKeyIdInToken"), Verdict.DELETE_PUSH_TOKEN),
    ):
        sandbox.next(said)
        reaction = await provider.send(push_to())
        assert (reaction.verdict, reaction.environment) == (verdict, None)
    assert [status for status, _ in source.reports] == ["SUSPECT"]


async def test_one_phone_cannot_have_the_credential_refused(
    sandbox: ApnsDouble, provider: ApnsProvider, source: Source
) -> None:
    sandbox.always(reject("BadEnvironmentKeyIdInToken"))
    assert (await provider.send(push_to(environment="development"))).verdict is Verdict.FAILED
    assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
    assert source.reports == []


# a refused credential -------------------------------------------------------------------------------------------------


async def test_a_refused_credential_is_shown_once_a_minute(double: ApnsDouble, source: Source, sqlite: Store) -> None:
    clock = now()
    async with apns_at(double, source, sqlite, clock=clock) as provider:
        double.always(reject("InvalidProviderToken"))
        reactions = await asyncio.gather(*(provider.send(push_to()) for _ in range(5)))
        assert {reaction.verdict for reaction in reactions} == {Verdict.PARK}
        assert [status for status, _ in source.reports] == ["REFUSED"]
        asked = len(double.received)
        for _ in range(3):
            probed = await provider.send(push_to())
            assert (probed.verdict, source.status()) == (Verdict.PARK, "REFUSED")
        assert len(double.received) == asked
        assert "revoked" in probed.sentence
        clock.advance(60)
        double.forget_scripts()
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
        assert [status for status, _ in source.reports] == ["REFUSED", "OK"]


async def test_a_new_credential_is_used_at_once(double: ApnsDouble, provider: ApnsProvider, source: Source) -> None:
    double.revoke_key(double.key.key_id)
    double.add_key("NEWKEY4444", team_id="RB2TESTTEA")
    assert (await provider.send(push_to())).verdict is Verdict.PARK
    source.put(token_key(double.key))
    assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
    assert source.status() == "OK"


async def test_a_credential_is_replaced_under_load(double: ApnsDouble, source: Source, sqlite: Store) -> None:
    second = double.add_key("NEWKEY4444")
    limits = PoolLimits(most_connections=1, drain_seconds=0.2)
    async with apns_at(double, source, sqlite, grace_seconds=0.05, limits=limits) as provider:
        double.hold()
        old = [asyncio.create_task(provider.send(push_to())) for _ in range(50)]
        await double.wait_for(1)
        source.put(token_key(second))
        new = [asyncio.create_task(provider.send(push_to())) for _ in range(50)]
        await double.wait_for(2)
        double.release()
        reactions = await asyncio.gather(*old, *new)
        assert {reaction.verdict for reaction in reactions} == {Verdict.DELIVERED}
        assert len({got.headers["apns-id"] for got in double.received}) == len(double.received) == 100
        assert len({(got.connection, got.headers["authorization"]) for got in double.received}) == 2
        await until(lambda: double.open_connections == 1)


async def test_connections_that_nobody_uses_are_closed(double: ApnsDouble, source: Source, sqlite: Store) -> None:
    async with apns_at(double, source, sqlite, idle_seconds=0.05) as provider:
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
        await until(lambda: double.open_connections == 0)
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
    assert double.handshakes == 2


# clocks ---------------------------------------------------------------------------------------------------------------


async def test_an_expired_provider_token_is_renewed_once_for_all(
    tmp_path: Path, source: Source, double: ApnsDouble, sqlite: Store
) -> None:
    clock, apples = now(), now()
    async with (
        ApnsDouble(tmp_path / "strict", keys=[double.key], authority=double.authority, clock=apples) as apns,
        apns_at(apns, source, sqlite, clock=clock) as provider,
    ):
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
        # An hour passes at Apple's, and less than half of it here.
        apples.advance(3_700)
        clock.advance(1_500)
        reactions = await asyncio.gather(*(provider.send(push_to()) for _ in range(20)))
        # The new one carries our time, which Apple takes for up to an hour's difference.
        assert {reaction.verdict for reaction in reactions} == {Verdict.DELIVERED}
        assert len({got.headers["authorization"] for got in apns.received}) == 2


@pytest.mark.parametrize("seconds", [-7_200, 7_200])
async def test_a_wrong_clock_is_named(source: Source, double: ApnsDouble, sqlite: Store, seconds: int) -> None:
    clock = now()
    clock.advance(seconds)
    async with apns_at(double, source, sqlite, clock=clock) as provider:
        for _ in range(2):
            reaction = await provider.send(push_to())
            assert (reaction.verdict, reaction.reason) == (Verdict.PARK, "ExpiredProviderToken")
            assert "clock" in reaction.sentence
            clock.advance(61)
        assert source.status() == "REFUSED"
        assert len({got.headers["authorization"] for got in double.received}) == 1
        clock.advance(-seconds)
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
        assert source.status() == "OK"


async def test_too_many_updates_make_no_new_one(double: ApnsDouble, provider: ApnsProvider, source: Source) -> None:
    double.next(reject("TooManyProviderTokenUpdates"))
    reaction = await provider.send(push_to())
    assert (reaction.verdict, reaction.reason) == (Verdict.RETRY, "TooManyProviderTokenUpdates")
    assert (reaction.retry_after_seconds or 0) >= 60
    assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
    assert len({got.headers["authorization"] for got in double.received}) == 1
    assert source.status() == "SUSPECT"


async def test_the_twenty_minutes_of_a_key_are_kept_by_all_apps_that_have_it(
    tmp_path: Path, double: ApnsDouble, sqlite: Store
) -> None:
    clock = now()
    async with ApnsDouble(tmp_path / "strict", keys=[double.key], authority=double.authority, clock=clock) as apns:
        source = Source(token_key(double.key))
        source.put(token_key(double.key, bundle_id="com.example.other"), app_id="other")
        async with apns_at(apns, source, sqlite, clock=clock) as provider:
            for _ in range(10):
                for app_id in ("bank", "other"):
                    reaction = await provider.send(push_to(app_id=app_id))
                    assert reaction.verdict is Verdict.DELIVERED, reaction.sentence
                clock.advance(600)
        assert 2 <= len({got.headers["authorization"] for got in apns.received}) <= 4
    assert APNS_LEAST_MS < ApnsTokens.SHARE * 3_600_000


# the network ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "verdict"),
    [
        (silence(), Verdict.UNKNOWN),
        (slow(30), Verdict.UNKNOWN),
        (drop(), Verdict.UNKNOWN),
        (reset(2), Verdict.UNKNOWN),
        (reset(7), Verdict.DELIVERED),
        (go_away(), Verdict.DELIVERED),
        (go_away(last="before"), Verdict.DELIVERED),
        (go_away(close="at once"), Verdict.UNKNOWN),
        (stream_limit(1), Verdict.DELIVERED),
    ],
)
async def test_what_becomes_of_a_push_that_gets_no_answer(
    double: ApnsDouble, source: Source, sqlite: Store, behaviour: object, verdict: Verdict
) -> None:
    async with apns_at(double, source, sqlite) as provider:
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
        double.next(behaviour)  # type: ignore[arg-type]
        push = push_to()
        never_answered = in_a_hurry(*provider._pools._open.values())
        with never_answered if verdict is Verdict.UNKNOWN else contextlib.nullcontext():
            reaction = await provider.send(push)
        assert (reaction.verdict, reaction.status is None) == (verdict, verdict is Verdict.UNKNOWN)
        assert reaction.reason or verdict is Verdict.DELIVERED
        again = await provider.send(push)
        assert again.verdict is Verdict.DELIVERED
        assert {got.push_id for got in double.received[1:]} == {push.id}
    assert source.reports == []


async def test_apns_says_why_it_goes_away(double: ApnsDouble, source: Source, sqlite: Store) -> None:
    async with apns_at(double, source, sqlite) as provider:
        double.next(go_away(b'{"reason":"IdleTimeout"}', close="at once"))
        reaction = await provider.send(push_to())
        assert (reaction.verdict, reaction.reason) == (Verdict.UNKNOWN, "IdleTimeout")
        await until_delivered(provider)
        double.next(go_away(b'{"reason":"BadCertificate"}', close="at once"))
        reaction = await provider.send(push_to())
        assert (reaction.verdict, reaction.reason) == (Verdict.PARK, "BadCertificate")
        assert source.status() == "REFUSED"


async def test_nobody_is_there(double: ApnsDouble, source: Source, sqlite: Store) -> None:
    async with apns_at(double, source, sqlite) as provider:
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
        await double.close()
        await until(lambda: double.open_connections == 0)
        reaction = await provider.send(push_to())
        assert reaction.verdict in {Verdict.RETRY, Verdict.UNKNOWN}
        await double.start()
        await until_delivered(provider)
    assert source.reports == []


async def test_closed_while_idle(double: ApnsDouble, provider: ApnsProvider) -> None:
    assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
    double.drop_connections()
    await until(lambda: double.open_connections == 0)
    await until_delivered(provider)


async def test_somebody_else_is_there(double: ApnsDouble, source: Source, sqlite: Store, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger")
    async with apns_at(double, source, sqlite, ca_file=str(stranger.file)) as provider:
        reaction = await provider.send(push_to())
    assert (reaction.verdict, reaction.reason) == (Verdict.RETRY, "the certificate is not trusted for this name")
    assert double.received == []
    assert source.reports == []


async def test_a_server_that_speaks_no_tls(double: ApnsDouble, source: Source, sqlite: Store) -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with contextlib.AsyncExitStack() as running:
        server = await running.enter_async_context(await asyncio.start_server(refuse, "127.0.0.1", 0))
        double._listener.port, port = server.sockets[0].getsockname()[1], double.port
        async with apns_at(double, source, sqlite) as provider:
            assert (await provider.send(push_to())).verdict is Verdict.RETRY
        double._listener.port = port


async def test_too_many_wait_for_a_place(double: ApnsDouble, source: Source, sqlite: Store) -> None:
    limits = PoolLimits(most_connections=1, most_waiting=3, drain_seconds=0.2)
    async with apns_at(double, source, sqlite, limits=limits) as provider:
        double.hold()
        sending = [asyncio.create_task(provider.send(push_to())) for _ in range(10)]
        await double.wait_for(1)
        double.release()
        verdicts = [(await sent).verdict for sent in sending]
    assert set(verdicts) == {Verdict.DELIVERED, Verdict.RETRY}


# certificates ---------------------------------------------------------------------------------------------------------


async def test_a_certificate_instead_of_a_key(double: ApnsDouble, sqlite: Store) -> None:
    source = Source(certificate(double.authority.client("com.example.bank")))
    async with apns_at(double, source, sqlite) as provider:
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
        assert (await provider.send(push_to(kind="apns-voip", content=call()))).verdict is Verdict.DELIVERED
    assert all("authorization" not in got.headers for got in double.received)


async def test_a_live_activity_needs_a_key(double: ApnsDouble, sqlite: Store) -> None:
    source = Source(certificate(double.authority.client("com.example.bank")))
    activity = LiveActivity(event="end", timestamp=1, content_state={})
    async with apns_at(double, source, sqlite) as provider:
        reaction = await provider.send(push_to(content=Content(push_id="", live_activity=activity)))
    assert (reaction.verdict, reaction.reason) == (Verdict.FAILED, "InvalidPushType")


async def test_a_certificate_of_one_environment(double: ApnsDouble, sandbox: ApnsDouble, sqlite: Store) -> None:
    files = double.authority.client("com.example.bank", production=False)
    source = Source(certificate(files, environment="development"))
    async with apns_at(double, source, sqlite, sandbox=sandbox) as provider:
        assert (await provider.send(push_to())).verdict is Verdict.DELIVERED
        reaction = await provider.send(push_to(environment="production"))
        assert (reaction.verdict, reaction.reason) == (Verdict.FAILED, "BadCertificateEnvironment")
        sandbox.always(reject("BadDeviceToken"))
        assert (await provider.send(push_to())).verdict is Verdict.DELETE_PUSH_TOKEN
    assert double.received == []
    assert source.reports == []


async def test_a_revoked_certificate(double: ApnsDouble, sqlite: Store) -> None:
    files = double.authority.client("com.example.bank")
    double.revoke_certificate(files)
    source = Source(certificate(files))
    async with apns_at(double, source, sqlite) as provider:
        reaction = await provider.send(push_to())
    assert (reaction.verdict, reaction.reason) == (Verdict.PARK, "BadCertificate")
    assert source.status() == "REFUSED"


async def test_a_certificate_of_somebody_else(double: ApnsDouble, sqlite: Store, tmp_path: Path) -> None:
    source = Source(certificate(Authority(tmp_path / "stranger").client("com.example.bank")))
    async with apns_at(double, source, sqlite) as provider:
        reaction = await provider.send(push_to())
    assert reaction.verdict is Verdict.RETRY
    assert "certificate" in reaction.sentence
    assert double.received == []


async def test_an_expired_certificate_is_not_even_shown(double: ApnsDouble, sqlite: Store) -> None:
    source = Source()
    source.put(certificate(double.authority.client("com.example.bank")), not_after=now().now_ms() - 60_000)
    async with apns_at(double, source, sqlite) as provider:
        assert (await provider.send(push_to())).reason == "expired"
    assert double.handshakes == 0
    assert source.status() == "REFUSED"


async def test_a_key_that_is_not_the_certificates(double: ApnsDouble, sqlite: Store) -> None:
    files, other = (double.authority.client("com.example.bank", file=name) for name in ("one", "two"))
    source = Source(certificate(files, private_key_pem=other.key.read_text()))
    async with apns_at(double, source, sqlite) as provider:
        assert (await provider.send(push_to())).verdict is Verdict.PARK


def test_no_file_of_a_key_stays_behind(tmp_path: Path) -> None:
    files = Authority(tmp_path).client("com.example.bank")
    before = len(list(Path("/proc/self/fd").iterdir()))
    load_certificate(ssl.create_default_context(), files.certificate.read_text(), files.key.read_text())
    with pytest.raises(ssl.SSLError):
        load_certificate(ssl.create_default_context(), files.certificate.read_text(), "nonsense")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_two_stores_of_one_installation_show_the_same(double: ApnsDouble, source: Source, store: Store) -> None:
    clock = now()
    one, other = tokens(store, clock), tokens(store, clock)
    async with (
        apns_at(double, source, store, shared=one, clock=clock) as first,
        apns_at(double, source, store, shared=other, clock=clock) as second,
    ):
        sending = [provider.send(push_to()) for provider in (first, second) * 10]
        assert {reaction.verdict for reaction in await asyncio.gather(*sending)} == {Verdict.DELIVERED}
    assert len({got.headers["authorization"] for got in double.received}) == 1
