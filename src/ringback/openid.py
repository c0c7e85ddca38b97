"""A relying party of OpenID providers: discovery, keys, code exchange, and the checks of ID and access tokens.

Everything goes through `Egress`, since administrators of apps choose the providers. Algorithms are fixed by whoever
asks, keys come only from the provider's key set, never from a JWT.

Sources: OpenID Connect Core 1.0 §3.1.3 (code exchange, ID token), Discovery 1.0 §4, RFC 6749 §4.1.3, RFC 7636 §4.5,
RFC 7517 (key sets), RFC 9068 §4 (access tokens).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote_plus, urlencode

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from ringback.clock import Clock
from ringback.errors import DestinationNotAllowed, DestinationUnreachable, OpenIdRefused
from ringback.remembered import Remembered

if TYPE_CHECKING:
    from ringback.egress import Egress, EgressAnswer

LEEWAY_SECONDS = 60
REQUEST_SECONDS = 5
MAX_TOKEN = 16_384
MAX_KEYS = 50
MAX_TIME = 10**12
LEAST_RSA_BITS = 2_048
OK = 200
ACCESS_TOKEN_TYPES = ("at+jwt", "application/at+jwt", "jwt", "")
ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash", "events")
"""Claims that only an ID token or a logout token has; many providers write access tokens of the plain type `JWT`."""

T = TypeVar("T")
_Place: TypeAlias = tuple[str, str]
"""Who asks, and the URL."""


class Metadata(msgspec.Struct, frozen=True):
    """What is used of a discovery document."""

    issuer: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    jwks_uri: str = ""


class Client(msgspec.Struct, frozen=True):
    """Us, as a provider knows us. `post`: the secret goes into the body, not into the Authorization field."""

    id: str
    secret: str
    post: bool = False

    def __repr__(self) -> str:
        return f"Client({self.id})"


class VerificationKey(msgspec.Struct, frozen=True):
    """A public key of a provider; `id` and `algorithm` are empty where its key set does not say."""

    id: str
    algorithm: str
    key: Any

    def may_verify(self, key_id: str | None, algorithm: str) -> bool:
        """Whether a JWT with this header may be signed by it."""
        family = RSAKey if algorithm[:2] in {"RS", "PS"} else ECKey
        named = key_id is None or key_id == self.id
        return named and isinstance(self.key, family) and self.algorithm in {"", algorithm}


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _TokenAnswer(msgspec.Struct, frozen=True):
    id_token: str


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    typ: str = ""


class OpenIdClient:
    """Asks providers. Documents and keys are remembered; an unknown key id asks again, though not at every request.

    `owner`: the app that named the provider, as for `Egress`; "" is the installation itself. What is remembered is each
    owner's own: nobody waits for what another is about to fetch.
    """

    def __init__(self, *, egress: Egress, clock: Clock) -> None:
        self._egress = egress
        self._clock = clock
        self._metadata: Remembered[_Place, Metadata] = Remembered(clock, self._discover)
        self._keys: Remembered[_Place, list[VerificationKey]] = Remembered(clock, self._fetch_keys)

    async def metadata(self, issuer: str, *, owner: str = "") -> Metadata:
        """The provider's discovery document. Raises OpenIdRefused."""
        return await self._metadata.get((owner, issuer))

    async def exchange(
        self,
        token_uri: str,
        client: Client,
        *,
        code: str,
        redirect_uri: str,
        code_verifier: str | None,
        owner: str = "",
    ) -> str:
        """The ID token for an authorization code. Raises OpenIdRefused."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if code_verifier is not None:
            form["code_verifier"] = code_verifier
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if client.post:
            form |= {"client_id": client.id, "client_secret": client.secret}
        else:
            # RFC 6749 §2.3.1: both are form-encoded before they are joined.
            pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        answer = await self._ask("POST", token_uri, headers, urlencode(form).encode(), owner=owner)
        return _decode(answer.body, _TokenAnswer).id_token

    async def id_token_claims(
        self, id_token: str, *, issuer: str, jwks_uri: str, client_id: str, algorithm: str, nonce: str, owner: str = ""
    ) -> Mapping[str, Any]:
        """The claims of a genuine ID token that was made for us and for this nonce. Raises OpenIdRefused."""
        header, claims = await self._verified(id_token, (owner, jwks_uri), (algorithm,))
        self._check_common(claims, issuer, client_id)
        if header.typ.lower() in ACCESS_TOKEN_TYPES[:2]:
            raise OpenIdRefused("An access token was sent in the place of an ID token.")
        if len(_audiences(claims)) > 1 and "azp" not in claims:
            raise OpenIdRefused("The ID token has several audiences and does not say whose it is.")
        if "azp" in claims and claims["azp"] != client_id:
            raise OpenIdRefused("The ID token was issued to another client.")
        _number(claims, "iat")
        found = claims.get("nonce")
        if (
            not isinstance(found, str)
            or not nonce
            or not hmac.compare_digest(found.encode("utf-8", "surrogatepass"), nonce.encode())
        ):
            raise OpenIdRefused("The ID token was not made for this nonce.")
        return claims

    async def access_token_claims(
        self, access_token: str, *, issuer: str, audience: str, algorithms: Sequence[str]
    ) -> Mapping[str, Any]:
        """The claims of a genuine access token for this audience. Raises OpenIdRefused."""
        metadata = await self.metadata(issuer)
        header, claims = await self._verified(access_token, ("", metadata.jwks_uri), algorithms)
        self._check_common(claims, issuer, audience)
        if header.typ.lower() not in ACCESS_TOKEN_TYPES or any(name in claims for name in ID_TOKEN_CLAIMS):
            raise OpenIdRefused("This is not an access token.")
        return claims

    def _check_common(self, claims: Mapping[str, Any], issuer: str, audience: str) -> None:
        now = self._clock.now_ms() / 1000
        if claims.get("iss") != issuer:
            raise OpenIdRefused("The JWT is of another issuer.")
        if audience not in _audiences(claims):
            raise OpenIdRefused("The JWT is for another audience.")
        if now >= _number(claims, "exp") + LEEWAY_SECONDS:
            raise OpenIdRefused("The JWT has expired.")
        for name in ("nbf", "iat"):
            if name in claims and now < _number(claims, name) - LEEWAY_SECONDS:
                raise OpenIdRefused("The JWT is from the future.")

    async def _verified(
        self, encoded_jwt: str, key_set: _Place, algorithms: Sequence[str]
    ) -> tuple[_Header, Mapping[str, Any]]:
        """Header and claims, once one of the provider's keys has proved them."""
        header = _header(encoded_jwt)
        if header.alg not in algorithms:
            raise OpenIdRefused("The JWT is signed with an algorithm that is not the configured one.")
        keys = _fitting(await self._keys.get(key_set), header)
        if not keys:  # the provider may have a new one
            keys = _fitting(await self._keys.get(key_set, again=True), header)
        for key in keys:
            try:
                return header, jwt.decode(encoded_jwt, key.key, algorithms=[header.alg]).claims
            except (JoseError, ValueError, TypeError, RecursionError):
                continue
        raise OpenIdRefused("No key of the provider proves the JWT.")

    # what is fetched --------------------------------------------------------------------------------------------------

    async def _discover(self, place: _Place) -> Metadata:
        owner, issuer = place
        answer = await self._ask("GET", issuer.rstrip("/") + "/.well-known/openid-configuration", owner=owner)
        metadata = _decode(answer.body, Metadata)
        if metadata.issuer != issuer:
            raise OpenIdRefused(
                "The discovery document is of another issuer; compare it with issuerUri, to the letter."
            )
        return metadata

    async def _fetch_keys(self, place: _Place) -> list[VerificationKey]:
        owner, jwks_uri = place
        found = _decode((await self._ask("GET", jwks_uri, owner=owner)).body, _KeySet).keys[:MAX_KEYS]
        return [key for item in found if (key := _verification_key(item)) is not None]

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"", *, owner: str
    ) -> EgressAnswer:
        try:
            answer = await self._egress.request(
                method,
                url,
                headers=headers or {"Accept": "application/json"},
                body=body,
                timeout_seconds=REQUEST_SECONDS,
                limit_bytes=262_144,
                owner=owner,
            )
        except (DestinationNotAllowed, DestinationUnreachable) as error:
            raise OpenIdRefused(f"The OpenID provider: {error.message}", cause=error) from error
        if answer.status != OK or answer.truncated:
            raise OpenIdRefused(f"The OpenID provider answered {answer.status}.")
        return answer


def _fitting(keys: list[VerificationKey], header: _Header) -> list[VerificationKey]:
    return [key for key in keys if key.may_verify(header.kid, header.alg)]


def _verification_key(item: dict[str, Any]) -> VerificationKey | None:
    """An RSA or EC key for signatures; None for whatever else a key set may hold, and for keys that are too small."""
    kind = item.get("kty")
    if kind not in ("RSA", "EC") or item.get("use", "sig") != "sig":
        return None
    public: dict[str, Any] = {name: item[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in item}
    try:
        key: RSAKey | ECKey = RSAKey.import_key(public) if kind == "RSA" else ECKey.import_key(public)
        if isinstance(key, RSAKey) and key.public_key.key_size < LEAST_RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError):  # KeyError: a curve that joserfc does not know
        return None
    return VerificationKey(str(item.get("kid", "")), str(item.get("alg", "")), key)


def _header(encoded_jwt: str) -> _Header:
    """The header of a compact JWS, not proved yet."""
    if len(encoded_jwt) > MAX_TOKEN or encoded_jwt.count(".") != 2:  # noqa: PLR2004 - RFC 7515 §7.1: three parts
        raise OpenIdRefused("This is not a signed JWT.")
    encoded = encoded_jwt.partition(".")[0]
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise OpenIdRefused("This is not a signed JWT.", cause=error) from error
    return _decode(text, _Header)


def _decode(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OpenIdRefused("The OpenID provider's answer has not the expected shape.", cause=error) from error


def _audiences(claims: Mapping[str, Any]) -> list[Any]:
    found = claims.get("aud")
    return found if isinstance(found, list) else [found]


def _number(claims: Mapping[str, Any], name: str) -> float:
    """A time of the JWT, in seconds."""
    found = claims.get(name)
    # The last comparison is the wrong way round so that NaN, which Python's JSON knows, fails it too.
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) <= MAX_TIME:
        raise OpenIdRefused(f"The JWT has no valid {name}.")
    return found
