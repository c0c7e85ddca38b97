"""A service account, and Google's token endpoint for it: the JWT-bearer grant of RFC 7523.

Source: "Using OAuth 2.0 for server to server applications" of Google; RFC 7523 §2.1 and §3, RFC 6749 §5.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from ringback.clock import Clock
from ringback.testing.certificates import write_private

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = ("https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform")
LONGEST_ASSERTION_SECONDS = 3600
LEEWAY_SECONDS = 300
ACCESS_TOKEN_SECONDS = 3599
OK, REFUSED, NOT_AUTHENTICATED = 200, 400, 401


class ServiceAccount:
    """Who sends for a Firebase project. `document` is the JSON that Google gives out for it, with keys of its own.

    A file of the folder that holds one for this project is used again, with the address of the token endpoint of now.
    """

    def __init__(self, folder: Path, project_id: str, token_uri: str) -> None:
        self.project_id = project_id
        self.email = f"firebase-adminsdk-test@{project_id}.iam.gserviceaccount.com"
        self.file = folder / f"service-account-{project_id}.json"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = msgspec.json.decode(self.file.read_bytes()) if self.file.exists() else {}
        pem = known.get("private_key") or _new_key()
        self.key = RSAKey.import_key(pem)
        self.key_id: str = known.get("private_key_id") or secrets.token_hex(20)
        self.document = {
            "type": "service_account",
            "project_id": project_id,
            "private_key_id": self.key_id,
            "private_key": pem,
            "client_email": self.email,
            "client_id": "100000000000000000001",
            "auth_uri": token_uri.replace("/token", "/auth"),
            "token_uri": token_uri,
            "auth_provider_x509_cert_url": token_uri.replace("/token", "/certs"),
            "client_x509_cert_url": token_uri.replace("/token", "/cert"),
            "universe_domain": "googleapis.com",
        }
        write_private(self.file, msgspec.json.format(msgspec.json.encode(self.document), indent=2))


class TokenAnswer(msgspec.Struct, frozen=True):
    """What the token endpoint says."""

    status: int
    document: dict[str, object]


class GoogleTokens:
    """Gives access tokens for signed assertions, and knows them again until they expire."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expires_at: dict[str, tuple[int, str]] = {}

    def grant(self, form: bytes, account: ServiceAccount, audiences: Sequence[str]) -> TokenAnswer:
        """Answers a POST of a form."""
        fields = {name: values[0] for name, values in parse_qs(form.decode("utf-8", "replace")).items()}
        if fields.get("grant_type") != GRANT:
            return _refused("unsupported_grant_type", f"Invalid grant_type: {fields.get('grant_type', '')}")
        error = self._refused_assertion(fields.get("assertion", ""), account, audiences)
        if error is not None:
            return error
        access_token = f"ya29.{secrets.token_urlsafe(96)}"
        expires_at = self._clock.now_ms() + ACCESS_TOKEN_SECONDS * 1000
        self._expires_at[access_token] = (expires_at, account.project_id)
        answer = {"access_token": access_token, "expires_in": ACCESS_TOKEN_SECONDS, "token_type": "Bearer"}
        return TokenAnswer(OK, answer)

    def project_of(self, access_token: str) -> str | None:
        """The project that the access token speaks for; None: unknown or expired."""
        expires_at, project_id = self._expires_at.get(access_token, (0, ""))
        return project_id if expires_at > self._clock.now_ms() else None

    def forget(self) -> None:
        """Every access token that was given out is worth nothing any more."""
        self._expires_at.clear()

    def _refused_assertion(  # noqa: PLR0911 - one sentence for each thing that may be wrong
        self, assertion: str, account: ServiceAccount, audiences: Sequence[str]
    ) -> TokenAnswer | None:
        try:
            read = jwt.decode(assertion, account.key, algorithms=["RS256"])
        except (JoseError, ValueError):
            return _refused("invalid_grant", "Invalid JWT Signature.")
        claims = read.claims
        if claims.get("iss") != account.email:
            return _refused("invalid_grant", "Invalid grant: account not found")
        if claims.get("aud") not in audiences:
            return _refused("invalid_grant", "Invalid JWT: Failed audience check.")
        now = self._clock.now_ms() // 1000
        issued, expires = claims.get("iat"), claims.get("exp")
        if type(issued) is not int or type(expires) is not int or not _in_time(issued, expires, now):
            return _refused("invalid_grant", "Invalid JWT: Token must be short-lived (60 minutes); check iat and exp.")
        scopes = str(claims.get("scope", "")).split()
        if not scopes:
            return _refused("invalid_scope", "Empty or missing scope not allowed.")
        if not set(scopes) & set(SCOPES):
            return _refused("invalid_scope", "Invalid OAuth scope.")
        return None


def _in_time(issued: int, expires: int, now: int) -> bool:
    fresh = issued <= now + LEEWAY_SECONDS and expires > now - LEEWAY_SECONDS
    return fresh and issued < expires <= issued + LONGEST_ASSERTION_SECONDS


def _refused(error: str, description: str) -> TokenAnswer:
    return TokenAnswer(REFUSED, {"error": error, "error_description": description})


def _new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
