"""The token endpoint of the FCM double, asked by hand and by Google's own client (PyPI google-auth)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account
from joserfc.jwk import RSAKey

from ringback.testing import Behaviour, FcmDouble, reject
from tests.testing.test_fcm import SCOPE, Sender, fcm, sender

__all__ = ["fcm", "sender"]


async def test_an_access_token_lives_for_an_hour(fcm: FcmDouble, sender: Sender) -> None:
    status, said = await sender.fetch()
    assert status == 200
    assert said == {"access_token": said["access_token"], "expires_in": 3599, "token_type": "Bearer"}
    assert [answer.status for answer in fcm.token_requests] == [200, 200]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"iss": "nobody@example.com"}, "invalid_grant"),
        ({"aud": "https://accounts.example.com/token"}, "invalid_grant"),
        ({"exp": 1_800_003_601}, "invalid_grant"),
        ({"exp": 1_799_999_000, "iat": 1_799_998_000}, "invalid_grant"),
        ({"iat": 1_800_000_900, "exp": 1_800_001_000}, "invalid_grant"),
        ({"exp": None}, "invalid_grant"),
        ({"iat": "now"}, "invalid_grant"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope"),
        ({"form": {"grant_type": "password"}}, "unsupported_grant_type"),
        ({"form": {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "x"}}, "invalid_grant"),
    ],
)
async def test_a_wrong_assertion_gets_nothing(sender: Sender, changed: dict[str, Any], error: str) -> None:
    status, said = await sender.fetch(**changed)
    assert (status, said["error"]) == (400, error)


async def test_a_foreign_signature_gets_nothing(sender: Sender) -> None:
    status, said = await sender.fetch(key=RSAKey.generate_key(2048))
    assert (status, said) == (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})


async def test_its_answers_can_be_scripted(fcm: FcmDouble, sender: Sender) -> None:
    fcm.next_token(reject("invalid_grant"), Behaviour(status=503, reason="unavailable"))
    assert [(await sender.fetch())[0] for _ in range(3)] == [400, 503, 200]


async def test_google_auth_gets_its_token_here_and_sends(tmp_path: Path) -> None:
    async with FcmDouble(tmp_path) as double:
        statuses = await asyncio.to_thread(_send_by_google_auth, double)
        assert statuses == [200, 404, 400]
        assert len(double.token_requests) == 1
        assert [push.http for push in double.received] == ["http/1.1"] * 3
        double.next_token(reject("invalid_grant"))
        with pytest.raises(RefreshError, match="invalid_grant"):
            await asyncio.to_thread(_send_by_google_auth, double)


def _send_by_google_auth(double: FcmDouble) -> list[int]:
    credentials = service_account.Credentials.from_service_account_info(double.account.document, scopes=[SCOPE])
    plain = requests.Session()
    plain.trust_env, plain.verify = False, str(double.ca_file)
    with plain, AuthorizedSession(credentials, auth_request=Request(plain)) as session:
        session.trust_env, session.verify = False, str(double.ca_file)
        url = f"{double.url}/v1/projects/{credentials.project_id}/messages:send"
        messages = [
            {"token": "a", "data": {"body": "x"}},
            {"token": "unregistered-1"},
            {"token": "a", "data": {"n": 1}},
        ]
        return [session.post(url, json={"message": message}, timeout=30).status_code for message in messages]
