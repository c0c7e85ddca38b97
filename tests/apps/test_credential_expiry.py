"""Push credentials that expire: shown, counted down in a metric, and told in the log once a day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from ringback.apps import CredentialExpiry
from ringback.clock import ManualClock, SystemClock
from tests.apps.push_files import DAY, apns_form, certificate, p12_of, rsa_key
from tests.served import Served

PATH = "/api/v1/apps/bank/push-credentials"


async def look(served: Served, expiry: CredentialExpiry) -> list[Any]:
    with capture_logs() as lines:
        await served.installation.store.write(expiry.look, 100)
    return [(line["event"], line["app"], line["kind"], line["days"]) for line in lines if "days" in line]


def left() -> float | None:
    return REGISTRY.get_sample_value("ringback_push_credential_expires_seconds", {"app": "bank", "kind": "apns"})


async def shown(served: Served) -> Any:
    return (await served.call("GET", PATH, auth=served.admin)).body["items"][0].get("expiry")


async def put(served: Served, ends: dt.timedelta) -> None:
    form = {"p12": p12_of(certificate(ends=ends), rsa_key(), b"")}
    assert (await served.call("PUT", f"{PATH}/apns", form, auth=served.admin)).status == 200


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(SystemClock().now_ms())


async def test_it_is_told_in_time_once_a_day_and_shown(database_url: str, tmp_path: Path, clock: ManualClock) -> None:
    async with Served.start(tmp_path, database_url, clock=clock, worker=False) as served:
        expiry = CredentialExpiry(clock=clock)
        await put(served, 31 * DAY)
        assert await look(served, expiry) == []
        assert await shown(served) is None
        assert left() == pytest.approx(31 * 86_400, abs=60)
        clock.advance(1.5 * 86_400)
        assert await look(served, expiry) == [("a push credential expires soon", "bank", "apns", 29)]
        assert left() == pytest.approx(29.5 * 86_400, abs=60)
        assert await look(served, expiry) == []
        assert await shown(served) == "SOON"
        clock.advance(86_400)
        assert await look(served, expiry) == [("a push credential expires soon", "bank", "apns", 28)]
        clock.advance(30 * 86_400)
        assert await look(served, expiry) == [("a push credential has expired", "bank", "apns", -2)]
        assert await shown(served) == "EXPIRED"
        seconds = left()
        assert seconds is not None
        assert seconds < 0
        await served.call("PUT", f"{PATH}/apns", apns_form(), auth=served.admin)
        assert await look(served, expiry) == []
        assert left() is None


async def test_a_new_certificate_is_told_of_on_the_same_day(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with Served.start(tmp_path, sqlite_url, clock=clock, worker=False) as served:
        expiry = CredentialExpiry(clock=clock)
        await put(served, 10 * DAY)
        assert len(await look(served, expiry)) == 1
        await put(served, 20 * DAY)
        assert len(await look(served, expiry)) == 1
