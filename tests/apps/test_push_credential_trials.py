"""Trying a push credential: the doubles of Apple and Google are asked over real TLS and HTTP/2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.outbox import NewDelivery
from ringback.store import Command, Query, Tx
from ringback.testing import Providers, reject
from tests.apps.push_files import apns_form, base64_of, certificate, fcm_form, p12_of, pem, rsa_key
from tests.served import Answer, Served

PATH = "/api/v1/apps/bank/push-credentials"
_later = Command("later", "Test.", "UPDATE deliveries SET next_attempt_at = 4000000000000")
_due = Query("due", "Test.", "SELECT channel, destination FROM deliveries WHERE next_attempt_at < 4000000000000")


@pytest.fixture
async def providers(tmp_path: Path) -> AsyncIterator[Providers]:
    async with Providers(tmp_path / "providers") as doubles:
        yield doubles


@pytest.fixture
async def served(sqlite_url: str, tmp_path: Path, providers: Providers) -> AsyncIterator[Served]:
    settings = {name.removeprefix("RINGBACK_").lower(): value for name, value in providers.settings.items()}
    async with Served.start(tmp_path, sqlite_url, worker=False, **settings) as running:
        yield running


async def ask(served: Served, method: str, path: str = "", body: Any = None) -> Answer:
    return await served.call(method, PATH + path, body, auth=served.admin)


def apns_of(providers: Providers, **changed: Any) -> dict[str, Any]:
    key = providers.key
    fields = {"keyId": key.key_id, "teamId": key.team_id, "bundleId": providers.bundle_id}
    return apns_form(**fields, keyFile=base64_of(key.file.read_bytes()), **changed)


def fcm_of(providers: Providers) -> dict[str, str]:
    return {"serviceAccount": base64_of(providers.fcm.account.file.read_bytes())}


async def test_apns_takes_the_key_because_it_only_complains_of_the_push_token(
    served: Served, providers: Providers
) -> None:
    await ask(served, "PUT", "/apns", apns_of(providers))
    answer = await ask(served, "POST", "/apns/try")
    assert answer.status == 200
    assert (answer.body["accepted"], answer.body["httpStatus"]) == (True, 400)
    assert answer.body["reason"].startswith("BadDeviceToken")
    assert answer.body["credential"]["status"] == "OK"
    [received, *_] = providers.apns.received
    assert received.topic == providers.bundle_id


async def test_a_key_that_apns_takes_is_good_where_the_other_environment_is_not_reached(
    served: Served, providers: Providers
) -> None:
    await providers.apns_sandbox.close()
    await ask(served, "PUT", "/apns", apns_of(providers))
    answer = await ask(served, "POST", "/apns/try")
    assert (answer.body["accepted"], answer.body["httpStatus"]) == (True, 400)


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_apns_is_asked_in_the_environment_of_the_credential_first(
    served: Served, providers: Providers, environment: str
) -> None:
    await ask(served, "PUT", "/apns", apns_of(providers, environment=environment))
    assert (await ask(served, "POST", "/apns/try")).body["accepted"] is True
    asked = providers.apns_sandbox if environment == "development" else providers.apns
    assert asked.received


async def test_apns_refuses_a_key_of_somebody_else(served: Served, providers: Providers) -> None:
    await ask(served, "PUT", "/apns", {**apns_of(providers), "keyFile": apns_form()["keyFile"]})
    answer = await ask(served, "POST", "/apns/try")
    assert (answer.status, answer.body["accepted"], answer.body["httpStatus"]) == (200, False, 403)
    assert answer.body["reason"].startswith("InvalidProviderToken")
    assert answer.body["credential"]["status"] == "REFUSED"
    listed = (await ask(served, "GET")).body["items"][0]
    assert (listed["status"], listed["statusReason"]) == ("REFUSED", answer.body["reason"])
    # A better one is tried afresh, and what waits goes out.
    await ask(served, "PUT", "/apns", apns_of(providers))
    assert (await ask(served, "GET")).body["items"][0]["status"] == "OK"
    assert (await ask(served, "POST", "/apns/try")).body["accepted"] is True


async def test_a_refused_credential_that_works_again_is_well_after_a_trial(
    served: Served, providers: Providers
) -> None:
    await ask(served, "PUT", "/apns", apns_of(providers))
    live = served.rooms.push.live_credentials
    stored = await live.load("bank", "apns")
    assert stored is not None
    await live.report(stored, "REFUSED", "InvalidProviderToken")
    answer = await ask(served, "POST", "/apns/try")
    assert (answer.body["accepted"], answer.body["credential"]["status"]) == (True, "OK")
    again = await live.load("bank", "apns")
    assert again is not None
    assert again.status == "OK"


async def test_apns_takes_a_certificate_and_refuses_one_of_a_stranger(served: Served, providers: Providers) -> None:
    files = providers.certificate
    form = {
        "certificate": base64_of(files.certificate.read_bytes()),
        "privateKey": base64_of(files.key.read_bytes()),
    }
    assert (await ask(served, "PUT", "/apns", form)).status == 200
    answer = await ask(served, "POST", "/apns/try")
    assert (answer.body["accepted"], answer.body["httpStatus"]) == (True, 400)
    assert files.pkcs12 is not None
    p12 = {"p12": base64_of(files.pkcs12.read_bytes()), "password": files.password}
    assert (await ask(served, "PUT", "/apns", p12)).status == 200
    assert (await ask(served, "POST", "/apns/try")).body["accepted"] is True
    own = {"p12": p12_of(certificate(providers.bundle_id), rsa_key(), b"")}
    assert (await ask(served, "PUT", "/apns", own)).status == 200
    assert (await ask(served, "POST", "/apns/try")).body["accepted"] is not True


async def test_fcm_gives_an_access_token_and_looks_at_a_message_that_it_brings_to_nobody(
    served: Served, providers: Providers
) -> None:
    await ask(served, "PUT", "/fcm", fcm_of(providers))
    answer = await ask(served, "POST", "/fcm/try")
    assert (answer.status, answer.body["accepted"]) == (200, True)
    [received] = providers.fcm.received
    assert isinstance(received.payload, dict)
    assert received.payload["validate_only"] is True


async def test_google_refuses_a_service_account_that_it_does_not_know(served: Served, providers: Providers) -> None:
    account = providers.fcm.account.document
    known = {name: account[name] for name in ("project_id", "private_key_id", "client_email")}
    await ask(served, "PUT", "/fcm", fcm_form(**known, private_key=pem(rsa_key()).decode()))
    answer = await ask(served, "POST", "/fcm/try")
    assert (answer.status, answer.body["accepted"]) == (200, False)
    assert "invalid_grant" in answer.body["reason"]
    assert answer.body["credential"]["status"] == "REFUSED"


async def test_a_wrong_bundle_id_makes_the_credential_suspect(served: Served, providers: Providers) -> None:
    await ask(served, "PUT", "/apns", apns_of(providers))
    providers.apns.next(reject("BadTopic"))
    answer = await ask(served, "POST", "/apns/try")
    assert (answer.body["accepted"], answer.body["credential"]["status"]) == (False, "SUSPECT")


async def test_a_provider_that_is_away_says_nothing_of_the_credential(served: Served, providers: Providers) -> None:
    await ask(served, "PUT", "/apns", apns_of(providers))
    await providers.apns.close()
    answer = await ask(served, "POST", "/apns/try")
    assert (answer.status, answer.body["accepted"], answer.body["httpStatus"]) == (200, None, None)
    assert answer.body["reason"]
    assert answer.body["credential"]["status"] == "OK"


async def later(tx: Tx) -> None:
    await tx.run(_later)


async def due(tx: Tx) -> list[Any]:
    return [tuple(row) for row in await tx.all(_due)]


async def test_parked_pushes_are_due_when_a_credential_is_stored(served: Served, providers: Providers) -> None:
    outbox, store = served.rooms.outbox, served.installation.store
    for channel in ("push", "campaign"):
        for destination in ("apns:bank", "fcm:bank", "apns:shop"):
            await store.write(outbox.enqueue, NewDelivery(channel, destination, b"{}"))
    await store.write(later)
    await ask(served, "PUT", "/apns", apns_of(providers))
    assert sorted(await store.read(due)) == [("campaign", "apns:bank"), ("push", "apns:bank")]
