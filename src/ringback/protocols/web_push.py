"""Web Push: the subscription of a browser, the encryption of a message for it, and who sends it.

Sources: W3C Push API (`PushSubscription`), RFC 8291 (message encryption: P-256, HKDF-SHA-256, `aes128gcm`),
RFC 8188 §2 (the encrypted content encoding), RFC 8292 (VAPID).
"""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringback.protocols.base64url import from_base64url, to_base64url
from ringback.protocols.powerauth.errors import InvalidPublicKey
from ringback.protocols.powerauth.keys import (
    PrivateKey,
    public_key_from_bytes,
    public_key_to_bytes,
    shared_x,
    sign_jose,
)

LONGEST_ENDPOINT = 2_048
LONGEST_SUBSCRIPTION = 4_096
POINT_BYTES = 65
AUTH_BYTES = 16
SALT_BYTES = 16
BODY_BYTES = 4_096
LONGEST_PLAINTEXT = 3_993
"""RFC 8291 §4: what is left of 4,096 bytes after the header (86), the delimiter (1) and the tag (16)."""

_RECORD_SIZE = 4_096
_HEADER_BYTES = SALT_BYTES + 4 + 1
_TAG_BYTES = 16
_LAST_RECORD = b"\x02"
_JWT_HEADER = to_base64url(b'{"typ":"JWT","alg":"ES256"}')
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class SubscriptionInvalid(ValueError):
    """The text is no subscription. `field`: `endpoint`, `keys.p256dh`, `keys.auth`, or empty for the text itself."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class WebPushRefused(ValueError):
    """The body was not encrypted for this key."""


class Subscription(msgspec.Struct, frozen=True):
    """Where a browser is reached: a URL of its push service, its P-256 point (65 bytes) and its secret (16 bytes)."""

    endpoint: str
    p256dh: bytes
    auth: bytes

    def text(self) -> str:
        """The canonical JSON: without white space, keys in base64url without padding. It is the push token."""
        keys = {"p256dh": to_base64url(self.p256dh).decode(), "auth": to_base64url(self.auth).decode()}
        return _encode({"endpoint": self.endpoint, "keys": keys}).decode()

    def origin(self) -> str:
        """The origin of the endpoint (RFC 6454 §6.2): what a VAPID token is for."""
        url = urlsplit(self.endpoint)
        port = "" if url.port in {None, 443} else f":{url.port}"
        host = url.hostname or ""
        return f"https://[{host}]{port}" if ":" in host else f"https://{host}{port}"

    def __repr__(self) -> str:
        """Without the secret, and without the path of the endpoint, which is one as well."""
        return f"Subscription({self.origin()})"


def parse_subscription(text: str) -> Subscription:
    """Reads what `JSON.stringify(subscription)` gives in a browser; other members, such as the expiry, are ignored.

    The point is checked to be on the curve, so this is not for a unit of work. Which addresses may be called, the
    egress guard decides. Raises SubscriptionInvalid.
    """
    if len(text) > LONGEST_SUBSCRIPTION:
        raise SubscriptionInvalid("", f"A subscription has at most {LONGEST_SUBSCRIPTION} characters.")
    try:
        found: Any = _decode(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SubscriptionInvalid("", "A subscription is a JSON object with endpoint and keys.")
    keys = found.get("keys")
    if not isinstance(keys, dict):
        raise SubscriptionInvalid("keys", "A subscription has keys: p256dh and auth.")
    point = _key(keys, "p256dh", POINT_BYTES)
    try:
        public_key_from_bytes(point)
    except InvalidPublicKey:
        raise SubscriptionInvalid("keys.p256dh", "This is not a point of the curve P-256.") from None
    return Subscription(_endpoint(found.get("endpoint")), point, _key(keys, "auth", AUTH_BYTES))


def encrypt(plaintext: bytes, subscription: Subscription, *, private_key: PrivateKey, salt: bytes) -> bytes:
    """The body of a request, encoding `aes128gcm` (RFC 8291 §3 and §4).

    plaintext: at most LONGEST_PLAINTEXT bytes; private_key: a fresh P-256 key; salt: 16 random bytes. Both are used
    once. Raises ValueError.
    """
    if len(plaintext) > LONGEST_PLAINTEXT:
        raise ValueError("a Web Push message has at most 3,993 bytes")
    if len(salt) != SALT_BYTES:
        raise ValueError("the salt has 16 bytes")
    sender = public_key_to_bytes(private_key.public_key())
    receiver = public_key_from_bytes(subscription.p256dh)
    material = _material(shared_x(private_key, receiver), subscription.auth, subscription.p256dh, sender)
    key, nonce = _key_and_nonce(material, salt)
    header = salt + _RECORD_SIZE.to_bytes(4, "big") + bytes([len(sender)]) + sender
    return header + AESGCM(key).encrypt(nonce, plaintext + _LAST_RECORD, None)


def decrypt(body: bytes, *, private_key: PrivateKey, auth: bytes) -> bytes:
    """What a browser does with such a body (RFC 8291 §3.4, RFC 8188 §2.1): for doubles and tests.

    Raises WebPushRefused, also for more than one record, which Web Push forbids.
    """
    header_bytes = _HEADER_BYTES + POINT_BYTES
    if not header_bytes + _TAG_BYTES < len(body) <= BODY_BYTES or body[_HEADER_BYTES - 1] != POINT_BYTES:
        raise WebPushRefused
    salt, record_size = body[:SALT_BYTES], int.from_bytes(body[SALT_BYTES : SALT_BYTES + 4], "big")
    sender, sealed = body[_HEADER_BYTES:header_bytes], body[header_bytes:]
    if len(sealed) > record_size:
        raise WebPushRefused
    receiver = public_key_to_bytes(private_key.public_key())
    try:
        shared = shared_x(private_key, public_key_from_bytes(sender))
        key, nonce = _key_and_nonce(_material(shared, auth, receiver, sender), salt)
        padded = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
    except (InvalidPublicKey, InvalidTag):
        raise WebPushRefused from None
    if padded[-1:] != _LAST_RECORD:
        raise WebPushRefused
    return padded[:-1]


def vapid_header(origin: str, *, subject: str, expires_at_s: int, private_key: PrivateKey) -> str:
    """The value of `Authorization` (RFC 8292 §2 and §3): an ES256 JWT for the origin, and the key that signed it.

    subject: `mailto:` or `https:`, whom the push service writes to; expires_at_s: Unix seconds, within 24 hours.
    """
    claims = _encode({"aud": origin, "exp": expires_at_s, "sub": subject})
    signed = _JWT_HEADER + b"." + to_base64url(claims)
    signature = to_base64url(sign_jose(private_key, signed))
    public = to_base64url(public_key_to_bytes(private_key.public_key()))
    return f"vapid t={signed.decode()}.{signature.decode()}, k={public.decode()}"


def _material(shared: bytes, auth: bytes, receiver: bytes, sender: bytes) -> bytes:
    """The input keying material, 32 bytes (RFC 8291 §3.4)."""
    info = b"WebPush: info\0" + receiver + sender + b"\1"
    return hmac.digest(hmac.digest(auth, shared, "sha256"), info, "sha256")


def _key_and_nonce(material: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """The key of 16 bytes and the nonce of 12 of the one record (RFC 8188 §2.2 and §2.3)."""
    secret = hmac.digest(salt, material, "sha256")
    key = hmac.digest(secret, b"Content-Encoding: aes128gcm\0\1", "sha256")
    return key[:16], hmac.digest(secret, b"Content-Encoding: nonce\0\1", "sha256")[:12]


def _endpoint(value: Any) -> str:
    """An absolute https URL without user information and fragment, in printable ASCII."""
    if not isinstance(value, str) or len(value) > LONGEST_ENDPOINT:
        raise SubscriptionInvalid("endpoint", f"The endpoint is a URL of at most {LONGEST_ENDPOINT} characters.")
    try:
        url = urlsplit(value)
        has_host = bool(url.hostname) and url.port != 0
    except ValueError:
        has_host = False
    else:
        has_host = has_host and url.scheme == "https" and "@" not in url.netloc and "#" not in value
    if not has_host or not all("!" <= letter <= "~" for letter in value) or "\\" in value:
        raise SubscriptionInvalid("endpoint", "The endpoint must be an https URL without user name and fragment.")
    return value


def _key(keys: dict[str, Any], name: str, length: int) -> bytes:
    """One of the keys: in base64url, or in the Base64 that a page makes of it by `btoa`; with or without padding."""
    text = str(keys.get(name)).rstrip("=").replace("+", "-").replace("/", "_")
    try:
        data = from_base64url(text.encode("ascii"))
    except ValueError:
        data = b""
    if len(data) != length:
        raise SubscriptionInvalid(f"keys.{name}", f"This is {length} bytes in base64url.")
    return data
