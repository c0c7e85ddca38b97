"""What APNs demands of a request, in the order in which the double looks.

The words are those of Apple's table of reasons; the order of the checks is not public: who is asking comes before what
is asked, and that before what is known about the device.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from ringback.testing.exchange import Request

STATUSES = {
    "BadCollapseId": 400, "BadDeviceToken": 400, "BadExpirationDate": 400, "BadMessageId": 400, "BadPriority": 400,
    "BadTopic": 400, "DeviceTokenNotForTopic": 400, "DuplicateHeaders": 400, "IdleTimeout": 400,
    "InvalidPushType": 400, "MissingDeviceToken": 400, "MissingTopic": 400, "PayloadEmpty": 400,
    "TopicDisallowed": 400, "BadCertificate": 403, "BadCertificateEnvironment": 403, "BadEnvironmentKeyIdInToken": 403,
    "ExpiredProviderToken": 403, "Forbidden": 403, "InvalidProviderToken": 403, "MissingProviderToken": 403,
    "UnrelatedKeyIdInToken": 403, "BadPath": 404, "MethodNotAllowed": 405, "ExpiredToken": 410, "Unregistered": 410,
    "PayloadTooLarge": 413, "TooManyProviderTokenUpdates": 429, "TooManyRequests": 429, "InternalServerError": 500,
    "ServiceUnavailable": 503, "Shutdown": 503,
}  # fmt: skip
"""Every reason and the status it comes with."""

SUFFIXES = {
    "alert": "", "background": "", "mdm": "", "voip": ".voip", "complication": ".complication",
    "location": ".location-query", "fileprovider": ".pushkit.fileprovider", "pushtotalk": ".voip-ptt",
    "liveactivity": ".push-type.liveactivity", "controls": ".push-type.controls", "widgets": ".push-type.widgets",
}  # fmt: skip
"""Every push type and how the topic has to end."""

JWT_ONLY = ("location", "liveactivity")
"""Push types that a certificate cannot send."""
LIMIT, VOIP_LIMIT = 4096, 5120
COLLAPSE_ID_LIMIT = 64
MAX_EXPIRATION = 2**63
_PATH = re.compile(r"/3/device/([^/?]*)")
_DEVICE_TOKEN = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,255}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGITS = re.compile(r"[0-9]{1,19}")


class Push(msgspec.Struct, frozen=True):
    """The parts of a request that the rules look at, with Apple's defaults filled in."""

    request: Request
    device_token: str
    topic: str
    push_type: str
    by_certificate: bool

    @property
    def priority(self) -> str:
        """10 where the header is missing."""
        return self.request.header("apns-priority") or "10"


def device_token_of(path: str) -> str | None:
    """The last part of the path, perhaps empty; None: not a path of APNs."""
    found = _PATH.fullmatch(path)
    return found[1] if found else None


def path_and_method(request: Request) -> str:
    """Looked at before it is asked who is there."""
    if device_token_of(request.path) is None:
        return "BadPath"
    return "" if request.method == "POST" else "MethodNotAllowed"


def shape(push: Push) -> str:
    """The reason for which the headers or the payload are refused, or an empty text."""
    return next((reason for reason, broken in _CHECKS if broken(push)), "")


def _duplicate_headers(push: Push) -> bool:
    names = [name for name, _ in push.request.headers if name.startswith("apns-") or name == "authorization"]
    return len(names) != len(set(names))


def _bad_message_id(push: Push) -> bool:
    found = push.request.header("apns-id")
    return found is not None and _UUID.fullmatch(found) is None


def _bad_topic(push: Push) -> bool:
    return _TOPIC.fullmatch(push.topic) is None or not push.topic.endswith(SUFFIXES[push.push_type])


def _bad_priority(push: Push) -> bool:
    return push.priority not in {"1", "5", "10"} or (push.push_type == "background" and push.priority == "10")


def _bad_expiration(push: Push) -> bool:
    found = push.request.header("apns-expiration") or "0"
    return _DIGITS.fullmatch(found) is None or int(found) >= MAX_EXPIRATION


def _bad_collapse_id(push: Push) -> bool:
    return len((push.request.header("apns-collapse-id") or "").encode()) > COLLAPSE_ID_LIMIT


def _too_large(push: Push) -> bool:
    return push.request.body_length > (VOIP_LIMIT if push.push_type == "voip" else LIMIT)


_CHECKS: Sequence[tuple[str, Callable[[Push], bool]]] = (
    ("DuplicateHeaders", _duplicate_headers),
    ("MissingDeviceToken", lambda push: not push.device_token),
    ("BadDeviceToken", lambda push: _DEVICE_TOKEN.fullmatch(push.device_token) is None),
    ("BadMessageId", _bad_message_id),
    ("MissingTopic", lambda push: not push.topic),
    ("InvalidPushType", lambda push: push.push_type not in SUFFIXES),
    ("InvalidPushType", lambda push: push.by_certificate and push.push_type in JWT_ONLY),
    ("BadTopic", _bad_topic),
    ("BadPriority", _bad_priority),
    ("BadExpirationDate", _bad_expiration),
    ("BadCollapseId", _bad_collapse_id),
    ("PayloadEmpty", lambda push: push.request.body_length == 0),
    ("PayloadTooLarge", _too_large),
)
