"""Every reason that Apple lists comes out of the double, in the order in which it looks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ringback.clock import ManualClock
from ringback.testing import ACCEPT, APNS_PREFIXES, APNS_STATUSES, ApnsDouble, reject
from tests.testing.client import DEVICE, TOPIC, Client, Pusher

DAY_MS = 86_400_000


async def test_a_good_push_is_accepted_and_recorded(apns: ApnsDouble, pusher: Pusher) -> None:
    identity = "8F7A1C5E-13D2-4A52-9A11-0D6B3B5B7C01"
    answer = await pusher.push(body=b'{"aps":{"alert":"Hello"}}', apns_id=identity, apns_expiration="0")
    assert (answer.status, answer.headers["apns-id"], answer.body) == (200, identity, b"")
    assert "apns-unique-id" not in answer.headers
    [push] = await apns.wait_for(1)
    assert apns.accepted == [push]
    assert (push.push_token, push.topic, push.push_type, push.push_id) == (DEVICE, TOPIC, "alert", identity)
    assert (push.payload, push.connection, push.stream, push.http) == ({"aps": {"alert": "Hello"}}, 1, 1, "h2")
    assert (push.at_ms, push.headers["apns-expiration"], push.status) == (apns.clock.now_ms(), "0", 200)


async def test_without_an_apns_id_one_is_made(pusher: Pusher) -> None:
    answer = await pusher.push()
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", answer.headers["apns-id"])


async def test_the_sandbox_names_each_push_for_the_push_console(tmp_path: Path) -> None:
    async with ApnsDouble(tmp_path, sandbox=True) as apns:
        pusher = await Pusher.open(apns)
        assert len((await pusher.push()).headers["apns-unique-id"]) == 36
        assert (await apns.wait_for(1))[0].provider == "apns-sandbox"


@pytest.mark.parametrize(
    ("reason", "changed"),
    [
        ("MissingProviderToken", {"authorization": None}),
        ("MissingProviderToken", {"authorization": "basic abc"}),
        ("InvalidProviderToken", {"authorization": "bearer a.b.c"}),
        ("BadMessageId", {"apns-id": "1"}),
        ("MissingTopic", {"apns-topic": None}),
        ("InvalidPushType", {"apns-push-type": "news"}),
        ("BadTopic", {"apns-topic": "no topic at all"}),
        ("BadTopic", {"apns-push-type": "voip"}),
        ("BadPriority", {"apns-priority": "7"}),
        ("BadPriority", {"apns-push-type": "background"}),
        ("BadExpirationDate", {"apns-expiration": "tomorrow"}),
        ("BadCollapseId", {"apns-collapse-id": "x" * 65}),
    ],
)
async def test_a_wrong_header_has_its_reason(pusher: Pusher, reason: str, changed: dict[str, str | None]) -> None:
    answer = await pusher.client.request(f"/3/device/{DEVICE}", pusher.headers(changed), b"{}")
    assert (answer.status, answer.reason) == (APNS_STATUSES[reason], reason)


@pytest.mark.parametrize(
    ("reason", "path", "body", "method"),
    [
        ("BadPath", "/4/device/" + DEVICE, b"{}", "POST"),
        ("BadPath", "/3/device/ab/cd", b"{}", "POST"),
        ("MethodNotAllowed", "/3/device/" + DEVICE, b"", "GET"),
        ("MissingDeviceToken", "/3/device/", b"{}", "POST"),
        ("BadDeviceToken", "/3/device/xyz", b"{}", "POST"),
        ("PayloadEmpty", "/3/device/" + DEVICE, b"", "POST"),
        ("PayloadTooLarge", "/3/device/" + DEVICE, b"x" * 4097, "POST"),
    ],
)
async def test_a_wrong_request_has_its_reason(pusher: Pusher, reason: str, path: str, body: bytes, method: str) -> None:
    answer = await pusher.client.request(path, pusher.headers({}), body, method)
    assert (answer.status, answer.reason) == (APNS_STATUSES[reason], reason)


async def test_a_header_that_comes_twice_is_refused(pusher: Pusher) -> None:
    headers = [*pusher.headers({}), ("apns-topic", TOPIC)]
    assert (await pusher.client.request(f"/3/device/{DEVICE}", headers)).reason == "DuplicateHeaders"


async def test_payloads_may_have_4096_bytes_and_calls_5120(pusher: Pusher) -> None:
    voip = {"apns_push_type": "voip", "apns_topic": f"{TOPIC}.voip"}
    assert (await pusher.push(body=b"x" * 4096)).status == 200
    assert (await pusher.push(body=b"x" * 5120, **voip)).status == 200
    assert (await pusher.push(body=b"x" * 5121, **voip)).reason == "PayloadTooLarge"


async def test_a_jwt_of_another_key_team_or_hour_is_refused(
    apns: ApnsDouble, pusher: Pusher, clock: ManualClock
) -> None:
    now = clock.now_ms() // 1000
    for jwt, reason in [
        (apns.key.sign(now, key_id="ANOTHERKEY"), "InvalidProviderToken"),
        (apns.key.sign(now, team_id="ANOTHERTEA"), "InvalidProviderToken"),
        (apns.key.sign(now - 3601), "ExpiredProviderToken"),
        (apns.key.sign(now + 3601), "ExpiredProviderToken"),
    ]:
        pusher.jwt = jwt
        assert (await pusher.push()).reason == reason
    pusher.jwt = apns.key.sign(now - 3600)
    assert (await pusher.push()).status == 200
    clock.advance(1)
    assert (await pusher.push()).reason == "ExpiredProviderToken"


async def test_a_jwt_may_be_replaced_after_twenty_minutes(apns: ApnsDouble, pusher: Pusher, clock: ManualClock) -> None:
    assert (await pusher.push()).status == 200
    old = pusher.jwt
    for seconds, reason in ((1199, "TooManyProviderTokenUpdates"), (1, "")):
        clock.advance(seconds)
        pusher.jwt = apns.key.sign(clock.now_ms() // 1000)
        answer = await pusher.push()
        assert (answer.status, answer.reason) == ((429, reason) if reason else (200, ""))
        pusher.jwt = old
        assert (await pusher.push()).status == 200


async def test_a_connection_keeps_to_the_key_that_it_began_with(apns: ApnsDouble, pusher: Pusher) -> None:
    assert (await pusher.push()).status == 200
    pusher.jwt = apns.add_key("SECONDKEY1").sign(apns.clock.now_ms() // 1000)
    assert (await pusher.push()).reason == "UnrelatedKeyIdInToken"


async def test_a_key_may_be_for_one_environment_or_topic_only_or_revoked(apns: ApnsDouble) -> None:
    now = apns.clock.now_ms() // 1000
    sandbox, narrow = apns.add_key("SANDBOXKEY", environments=("sandbox",)), apns.add_key("NARROWKEY1", topics=(TOPIC,))
    pusher = await Pusher.open(apns)
    pusher.jwt = sandbox.sign(now)
    assert (await pusher.push()).reason == "BadEnvironmentKeyIdInToken"
    pusher = await Pusher.open(apns)
    pusher.jwt = narrow.sign(now)
    assert (await pusher.push()).status == 200
    assert (await pusher.push(apns_topic=f"{TOPIC}.voip", apns_push_type="voip")).status == 200
    assert (await pusher.push(apns_topic="com.example.other")).reason == "TopicDisallowed"
    apns.revoke_key("NARROWKEY1")
    assert (await pusher.push()).reason == "InvalidProviderToken"


async def test_a_certificate_names_its_topics_and_environments(apns: ApnsDouble) -> None:
    both = apns.authority.client(TOPIC)
    pusher = await Pusher.open(apns, both)
    assert (await pusher.push()).status == 200
    assert (await pusher.push(apns_topic=f"{TOPIC}.voip", apns_push_type="voip")).status == 200
    assert (await pusher.push(apns_topic="com.example.other")).reason == "TopicDisallowed"
    assert (await pusher.push(apns_topic=None)).reason == "MissingTopic", "two topics: neither is the default"
    activity = {"apns_topic": f"{TOPIC}.push-type.liveactivity", "apns_push_type": "liveactivity"}
    assert (await pusher.push(**activity)).reason == "InvalidPushType", "only keys may send Live Activities"
    apns.revoke_certificate(both)
    assert (await pusher.push()).reason == "BadCertificate"
    single = await Pusher.open(apns, apns.authority.client(TOPIC, topics=(TOPIC,), file="single"))
    assert (await single.push(apns_topic=None)).status == 200
    sandbox = await Pusher.open(apns, apns.authority.client(TOPIC, production=False, file="sandbox"))
    assert (await sandbox.push()).reason == "BadCertificateEnvironment"


async def test_devices_that_are_known_have_an_app_and_may_die(tmp_path: Path, clock: ManualClock) -> None:
    async with ApnsDouble(tmp_path, clock=clock, only_known_devices=True) as apns:
        pusher = await Pusher.open(apns)
        assert (await pusher.push()).reason == "BadDeviceToken"
        apns.know(DEVICE, topic=TOPIC)
        assert (await pusher.push()).status == 200
        assert (await pusher.push(apns_topic="com.example.other")).reason == "DeviceTokenNotForTopic"
        apns.kill(DEVICE, since_ms=1_700_000_000_123)
        answer = await pusher.push()
        assert (answer.status, answer.json) == (410, {"reason": "Unregistered", "timestamp": 1_700_000_000_123})
        apns.kill(DEVICE, reason="ExpiredToken")
        assert (await pusher.push()).json == {"reason": "ExpiredToken", "timestamp": clock.now_ms()}


async def test_shutting_down_is_said_in_both_ways(apns: ApnsDouble, pusher: Pusher) -> None:
    assert (await pusher.push()).status == 200
    apns.shut_down()
    await pusher.client.until_lost()
    assert [goaway.debug for goaway in pusher.client.goaways] == [b'{"reason":"Shutdown"}']
    again = await Pusher.open(apns)
    answer = await again.push()
    assert (answer.status, answer.reason) == (503, "Shutdown")


@pytest.mark.parametrize("reason", sorted(APNS_STATUSES))
async def test_every_reason_can_be_scripted(apns: ApnsDouble, pusher: Pusher, reason: str) -> None:
    apns.script(DEVICE, [reject(reason, retry_after="7"), ACCEPT])
    answer = await pusher.push()
    assert (answer.status, answer.reason) == (APNS_STATUSES[reason], reason)
    assert answer.headers["retry-after"] == "7"
    assert ("timestamp" in answer.json) is (answer.status == 410)
    assert (await pusher.push()).status == 200
    assert [(push.status, push.reason) for push in apns.received] == [(APNS_STATUSES[reason], reason), (200, "")]


@pytest.mark.parametrize("prefix", sorted(prefix for prefix, does in APNS_PREFIXES.items() if does.reason))
async def test_a_device_token_says_by_its_beginning_what_happens_to_it(pusher: Pusher, prefix: str) -> None:
    expected = APNS_PREFIXES[prefix]
    answer = await pusher.push(prefix.ljust(64, "0"))
    assert (answer.status, answer.reason) == (APNS_STATUSES[expected.reason], expected.reason)
    if answer.status == 410:
        assert answer.json["timestamp"] == pusher.double.clock.now_ms() - DAY_MS


async def test_a_script_does_not_hide_a_faulty_request(apns: ApnsDouble, pusher: Pusher) -> None:
    apns.script(DEVICE, [reject("Unregistered")])
    assert (await pusher.push(apns_topic=None)).reason == "MissingTopic"
    assert (await pusher.push()).reason == "Unregistered"


async def test_scripts_have_an_order(apns: ApnsDouble, pusher: Pusher) -> None:
    apns.always(reject("TooManyRequests"))
    apns.next(reject("Forbidden"))
    apns.script(DEVICE, [reject("InternalServerError")])
    apns.at(3, reject("ServiceUnavailable"))
    reasons = [(await pusher.push()).reason for _ in range(4)]
    assert reasons == ["InternalServerError", "Forbidden", "ServiceUnavailable", "TooManyRequests"]
    apns.forget_scripts()
    assert (await pusher.push()).status == 200


async def test_an_answer_may_be_no_json(apns: ApnsDouble, pusher: Pusher) -> None:
    apns.next(reject("ServiceUnavailable"))
    apns.always(type(ACCEPT)(status=502, body=b"<html>Bad Gateway</html>"))
    assert (await pusher.push()).reason == "ServiceUnavailable"
    answer = await pusher.push()
    assert (answer.status, answer.body) == (502, b"<html>Bad Gateway</html>")


async def test_without_trust_there_is_no_connection(apns: ApnsDouble, tmp_path: Path) -> None:
    async with ApnsDouble(tmp_path / "other") as other:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            await Client.open(apns.url, other.ca_file)
