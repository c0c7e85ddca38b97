"""A double of a Web Push service: it gives out subscriptions as a browser does, and reads what is sent to them.

    async with WebPushDouble(folder) as web_push:
        subscription = web_push.subscribe()
        subscription.document                       # what a page hands to its server
        [push] = await web_push.wait_for(1, push_token=subscription.id)
        push.payload                                # decrypted

Source: RFC 8030 (delivery), RFC 8188 and 8291 (encryption), RFC 8292 (VAPID).
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ringback.clock import Clock
from ringback.testing.behaviour import Behaviour
from ringback.testing.certificates import Authority
from ringback.testing.double import Answer, Double
from ringback.testing.exchange import Request

REASONS = {"gone": 410, "not found": 404, "too large": 413, "too many": 429, "unavailable": 503, "refused": 403}
"""What may be scripted by `reject`, and its status."""
LIMIT = 4096
LONGEST_VAPID_SECONDS = 86_400
LONGEST_TOPIC = 32
URGENCIES = ("very-low", "low", "normal", "high")
_VAPID = re.compile(r"(?i:vapid)\s+(.*)")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_TTL = re.compile(r"[0-9]{1,10}")
_HEADER, _TAG, _POINT, _LAST_RECORD = 21, 16, 65, 0x02


class Subscription:
    """One browser. `document` is what `PushSubscription.toJSON()` gives."""

    def __init__(self, url: str, application_server_key: str | None) -> None:
        self.id = secrets.token_urlsafe(24)
        self.endpoint = f"{url}/push/{self.id}"
        self.application_server_key = application_server_key
        self.auth = secrets.token_bytes(16)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public = _point(self._key.public_key())
        self.document = {
            "endpoint": self.endpoint,
            "expirationTime": None,
            "keys": {"p256dh": _encoded(self.public), "auth": _encoded(self.auth)},
        }

    def decrypt(self, body: bytes) -> bytes:
        """The message in an `aes128gcm` body of one record (RFC 8291 §4). ValueError: not for this subscription."""
        point = body[_HEADER : _HEADER + _POINT]
        if len(body) < _HEADER + _POINT + _TAG + 1 or body[_HEADER - 1] != _POINT:
            raise ValueError("The header of aes128gcm is not there.")
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        shared = self._key.exchange(ec.ECDH(), sender)
        secret = _hkdf(shared, self.auth, b"WebPush: info\0" + self.public + point, 32)
        key = _hkdf(secret, body[:16], b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(secret, body[:16], b"Content-Encoding: nonce\0", 12)
        try:
            padded = AESGCM(key).decrypt(nonce, body[_HEADER + _POINT :], None).rstrip(b"\0")
        except InvalidTag as error:
            raise ValueError("It was not encrypted for this subscription.") from error
        if padded[-1:] != bytes([_LAST_RECORD]):
            raise ValueError("The last record has no delimiter.")
        return padded[:-1]


class WebPushDouble(Double):
    """A push service for browsers."""

    name = "webpush"
    alpn = ("h2", "http/1.1")

    def __init__(
        self,
        folder: Path,
        *,
        authority: Authority | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(folder, prefixes={}, authority=authority, host=host, port=port, clock=clock)
        self._subscriptions: dict[str, Subscription] = {}
        self._gone: set[str] = set()

    def subscribe(self, application_server_key: str | None = None) -> Subscription:
        """A new browser. With the key of a server (base64url), only that server may send to it."""
        subscription = Subscription(self.url, application_server_key)
        self._subscriptions[subscription.id] = subscription
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """From now on: 410."""
        self._gone.add(subscription.id)

    def requested(self, request: Request) -> None:
        """A message for a subscription."""
        identity = request.path.removeprefix("/push/")
        subscription = self._subscriptions.get(identity)
        received = self._receive(request, push_token=identity, payload=None)
        received.topic = request.header("topic") or ""
        refusal = self._refusal(request, subscription)
        if refusal is None and subscription is not None and request.body:
            try:
                received.payload = _read(subscription.decrypt(request.body))
            except ValueError as error:
                received.payload = None
                refusal = _refused(400, str(error))
        if refusal is not None:
            self._perform(request, received, Behaviour(), lambda: refusal)
            return
        behaviour = self._script.take(identity)

        def answer() -> Answer:
            status = behaviour.status or REASONS.get(behaviour.reason, 201)
            if status == 201:  # noqa: PLR2004 - HTTP statuses
                received.push_id = f"/message/{secrets.token_urlsafe(16)}"
                headers = (("location", self.url + received.push_id), ("ttl", request.header("ttl") or "0"))
                return Answer(status, headers)
            again = (("retry-after", behaviour.retry_after),) if behaviour.retry_after else ()
            return Answer(status, again, behaviour.body or b"", behaviour.reason)

        self._perform(request, received, behaviour, answer)

    def _refusal(self, request: Request, subscription: Subscription | None) -> Answer | None:
        if subscription is None:
            return _refused(404, "There is no such subscription.")
        if request.method != "POST":
            return _refused(405, "Only POST.")
        if subscription.id in self._gone:
            return _refused(410, "The subscription is gone.")
        return self._refused_sender(request, subscription) or _refused_message(request)

    def _refused_sender(self, request: Request, subscription: Subscription) -> Answer | None:
        """VAPID (RFC 8292 §2, §3, §4.2)."""
        said = _VAPID.fullmatch(request.header("authorization") or "")
        parameters = dict(part.strip().partition("=")[::2] for part in said[1].split(",")) if said else {}
        key = parameters.get("k", "")
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _decoded(key))
            claims = jwt.decode(parameters.get("t", ""), ECKey.import_key(point), algorithms=["ES256"]).claims
        except (JoseError, ValueError):
            return _refused(401, "The VAPID header is missing or its signature is wrong.")
        expires, now = claims.get("exp"), self.clock.now_ms() // 1000
        if type(expires) is not int or not now < expires <= now + LONGEST_VAPID_SECONDS:
            return _refused(403, "The exp of the VAPID JWT is over, or more than 24 hours away.")
        if claims.get("aud") not in {self.url, f"https://localhost:{self.port}"}:
            return _refused(403, "The aud of the VAPID JWT is not the origin of the endpoint.")
        if subscription.application_server_key not in {None, key}:
            return _refused(403, "The subscription is for another application server.")
        return None


def _refused_message(request: Request) -> Answer | None:
    topic, encoding = request.header("topic"), request.header("content-encoding")
    if _TTL.fullmatch(request.header("ttl") or "") is None:
        return _refused(400, "TTL is missing or not a number of seconds.")
    if (request.header("urgency") or "normal") not in URGENCIES:
        return _refused(400, "Urgency is none of the four words.")
    if topic is not None and _TOPIC.fullmatch(topic) is None:
        return _refused(400, "Topic has at most 32 characters of base64url.")
    if request.body_length and encoding != "aes128gcm":
        return _refused(415, "The body has to be encrypted by aes128gcm.")
    return _refused(413, "The message is too large.") if request.body_length > LIMIT else None


def _refused(status: int, why: str) -> Answer:
    return Answer(status, (("content-type", "text/plain"),), why.encode(), why)


def _read(content: bytes) -> object:
    """JSON where it is JSON, else the text, else the bytes."""
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        pass
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("Not base64url.") from error
