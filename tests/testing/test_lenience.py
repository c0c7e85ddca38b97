"""What the originals take from clients that are in use everywhere, the doubles take as well."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwt
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from ringback.clock import ManualClock
from ringback.testing import ApnsDouble, FcmDouble, Providers
from tests.testing.client import Client, Pusher


def signed_in_asn1(apns: ApnsDouble, *, largest: bool = False) -> str:
    """A provider JWT of the key as Java signs by itself: the two numbers of the signature in ASN.1."""
    signed, _, signature = apns.key.sign(apns.clock.now_ms() // 1000).rpartition(".")
    plain = urlsafe_b64decode(signature.encode())
    r, s = int.from_bytes(plain[:32], "big"), int.from_bytes(plain[32:], "big")
    return f"{signed}.{urlsafe_b64encode(encode_dss_signature(2**300 if largest else r, s)).decode()}"


async def test_a_provider_jwt_may_be_signed_as_pushy_does(apns: ApnsDouble, pusher: Pusher) -> None:
    answer = await pusher.push(authorization=f"bearer {signed_in_asn1(apns)}")
    assert (answer.status, answer.body) == (200, b"")


async def test_numbers_that_no_signature_has_are_refused(apns: ApnsDouble, pusher: Pusher) -> None:
    answer = await pusher.push(authorization=f"bearer {signed_in_asn1(apns, largest=True)}")
    assert answer.reason == "InvalidProviderToken"


async def test_apns_speaks_http2_with_clients_that_know_it_beforehand(apns: ApnsDouble) -> None:
    client = await Client.open(apns.url, apns.ca_file, alpn=False)
    pusher = Pusher(client, apns, apns.key.sign(apns.clock.now_ms() // 1000))
    assert (await pusher.push()).status == 200
    assert (await apns.wait_for(1))[0].http == "h2"


async def test_the_command_lets_each_program_come_with_a_jwt_of_its_own(tmp_path: Path, clock: ManualClock) -> None:
    async with Providers(tmp_path, clock=clock) as providers:
        for apns in (providers.apns, providers.apns_sandbox):
            first = await Pusher.open(apns)
            assert (await first.push()).status == 200
            clock.advance(60)
            second = await Pusher.open(apns)
            assert (await second.push()).status == 200
            assert (await first.push()).status == 200
            first.jwt = second.jwt
            assert (await first.push()).reason == "TooManyProviderTokenUpdates"


@pytest.mark.parametrize("query", ["", "?alt=json&prettyPrint=false"])
async def test_fcm_takes_the_query_of_googles_clients(tmp_path: Path, clock: ManualClock, query: str) -> None:
    async with FcmDouble(tmp_path, clock=clock) as fcm:
        client = await Client.open(fcm.url, fcm.ca_file)
        now = clock.now_ms() // 1000
        claims = {
            "iss": fcm.account.email,
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": fcm.token_url,
            "iat": now,
            "exp": now + 3600,
        }
        assertion = jwt.encode({"alg": "RS256", "kid": fcm.account.key_id}, claims, fcm.account.key)
        form = f"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}"
        headers = [("content-type", "application/x-www-form-urlencoded")]
        granted = await client.request("/token", headers, form.encode())
        path = f"/v1/projects/ringback-test/messages:send{query}"
        headers = [("authorization", f"Bearer {granted.json['access_token']}"), ("content-type", "application/json")]
        assert (await client.request(path, headers, b'{"message":{"token":"a"}}')).status == 200
