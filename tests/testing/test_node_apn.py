"""npm @parse/node-apn, a client that talks to Apple every day, takes the double for Apple."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.testing import ACCEPT, ApnsDouble, CertificateFiles, go_away, reject, silence
from tests.peers.node import node

TOPIC = "com.example.app"


@pytest.fixture
async def apns(tmp_path: Path) -> AsyncIterator[ApnsDouble]:
    """On the machine's clock, since node-apn is."""
    async with ApnsDouble(tmp_path) as double:
        yield double


def device(beginning: str) -> str:
    return beginning.ljust(64, "0")


def by_key(apns: ApnsDouble) -> dict[str, Any]:
    return {"token": {"key": str(apns.key.file), "keyId": apns.key.key_id, "teamId": apns.key.team_id}}


def by_certificate(files: CertificateFiles) -> dict[str, Any]:
    return {"cert": str(files.certificate), "key": str(files.key)}


async def send(
    apns: ApnsDouble, credential: dict[str, Any], pushes: list[dict[str, Any]], *, together: bool = False
) -> Any:
    address = {"address": apns.host, "port": apns.port, "ca": [apns.ca_file.read_text()]}
    options = {**credential, **address, "requestTimeout": 20_000, "connectionRetryLimit": 1}
    filled = [
        {"topic": TOPIC, "pushType": "alert", "rawPayload": {"aps": {"alert": "Hello"}}} | push for push in pushes
    ]
    return await node("apns_client.mjs", {"options": options, "pushes": filled, "together": together})


async def test_it_sends_by_key(apns: ApnsDouble) -> None:
    pushes = [
        {"token": device("1"), "id": "8F7A1C5E-13D2-4A52-9A11-0D6B3B5B7C01", "priority": 5, "collapseId": "news"},
        {"token": device("2"), "topic": f"{TOPIC}.voip", "pushType": "voip", "rawPayload": {"data": "x"}},
    ]
    assert await send(apns, by_key(apns), pushes) == [{"sent": True}, {"sent": True}]
    first, second = apns.accepted
    assert first.payload == {"aps": {"alert": "Hello"}}
    assert (first.push_id, first.headers["apns-priority"]) == ("8F7A1C5E-13D2-4A52-9A11-0D6B3B5B7C01", "5")
    assert first.headers["apns-collapse-id"] == "news"
    assert (second.push_type, second.connection, second.stream) == ("voip", 1, 3)


async def test_it_sends_by_certificate(apns: ApnsDouble) -> None:
    outcomes = await send(
        apns, by_certificate(apns.authority.client(TOPIC)), [{"token": device("1")}, {"token": device("dead")}]
    )
    assert outcomes[0] == {"sent": True}
    assert (outcomes[1]["status"], outcomes[1]["reason"]) == (410, "Unregistered")
    assert "authorization" not in apns.received[0].headers


async def test_a_certificate_for_the_other_environment_is_refused(apns: ApnsDouble) -> None:
    files = apns.authority.client(TOPIC, production=False)
    [outcome] = await send(apns, by_certificate(files), [{"token": device("1")}])
    assert (outcome["status"], outcome["reason"]) == (403, "BadCertificateEnvironment")


@pytest.mark.parametrize(
    ("push", "status", "reason"),
    [
        ({"token": device("dead")}, 410, "Unregistered"),
        ({"token": device("bad0")}, 400, "BadDeviceToken"),
        ({"token": device("1"), "topic": "com.example app"}, 400, "BadTopic"),
        ({"token": device("1"), "pushType": "voip"}, 400, "BadTopic"),
        ({"token": device("1"), "pushType": "news"}, 400, "InvalidPushType"),
        ({"token": device("1"), "priority": 5, "id": "1"}, 400, "BadMessageId"),
        ({"token": device("1"), "rawPayload": {"x": "y" * 5000}}, 413, "PayloadTooLarge"),
        ({"token": device("0403")}, 403, "InvalidProviderToken"),
        ({"token": device("0429")}, 429, "TooManyRequests"),
        ({"token": device("0503")}, 503, "ServiceUnavailable"),
    ],
)
async def test_it_reads_refusals(apns: ApnsDouble, push: dict[str, Any], status: int, reason: str) -> None:
    [outcome] = await send(apns, by_key(apns), [push])
    assert (outcome["sent"], outcome["status"], outcome["reason"]) == (False, status, reason)
    assert (outcome.get("timestamp") is not None) is (status == 410)


async def test_it_reads_an_internal_error(apns: ApnsDouble) -> None:
    [outcome] = await send(apns, by_key(apns), [{"token": device("0500")}])
    assert (outcome["status"], outcome["error"]) == (500, "Error 500, stream ended unexpectedly")


async def test_it_makes_a_new_jwt_when_the_old_one_has_expired(apns: ApnsDouble) -> None:
    apns.next(reject("ExpiredProviderToken"), ACCEPT)
    assert await send(apns, by_key(apns), [{"token": device("1")}]) == [{"sent": True}]
    assert [push.status for push in apns.received] == [403, 200]


async def test_a_foreign_key_is_refused(apns: ApnsDouble, tmp_path: Path) -> None:
    async with ApnsDouble(tmp_path / "other") as other:
        credential = by_key(other)
    [outcome] = await send(apns, credential, [{"token": device("1")}])
    assert (outcome["status"], outcome["reason"]) == (403, "InvalidProviderToken")


async def test_a_reset_stream_is_a_failure_for_it(apns: ApnsDouble) -> None:
    outcomes = await send(apns, by_key(apns), [{"token": device("0777")}, {"token": device("1")}])
    assert "NGHTTP2_REFUSED_STREAM" in outcomes[0]["error"]
    assert outcomes[1] == {"sent": True}


async def test_it_notices_silence(apns: ApnsDouble) -> None:
    apns.next(silence())
    options = {**by_key(apns), "address": apns.host, "port": apns.port, "ca": [apns.ca_file.read_text()]}
    push = {"token": device("1"), "topic": TOPIC, "pushType": "alert", "rawPayload": {"aps": {}}}
    document = {"options": {**options, "requestTimeout": 200}, "pushes": [push]}
    [outcome] = await node("apns_client.mjs", document)
    assert outcome["error"] == "apn write timeout"


async def test_after_goaway_it_connects_again(apns: ApnsDouble) -> None:
    apns.at(2, go_away(b'{"reason":"Shutdown"}'))
    outcomes = await send(apns, by_key(apns), [{"token": device(str(number))} for number in range(1, 5)])
    assert outcomes[:2] == [{"sent": True}, {"sent": True}]
    assert outcomes[-1] == {"sent": True}
    assert apns.handshakes == 2


async def test_many_at_once_keep_to_the_stream_limit(apns: ApnsDouble) -> None:
    pushes = [{"token": f"{number:064x}"} for number in range(300)]
    outcomes = await send(apns, by_key(apns), pushes, together=True)
    assert outcomes == [{"sent": True}] * 300
    assert len({push.push_token for push in apns.accepted}) == 300
    assert apns.violations == []
