"""What an answer of a provider means for the push, for its push token and for the credential: one table each.

Sources: Apple, "Handling notification responses from APNs"; Google, "FCM HTTP v1: ErrorCode"; RFC 8030 §5, §7.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from ringback.protocols.retry_after import retry_after_seconds

QUOTA_SECONDS = 60
"""Google asks for a minute where a 429 names no time."""
FCM_BACKOFF_SECONDS = 10
"""And for ten seconds, at least, after its own errors."""
UNREGISTERED_LIMIT = 10**14
LONGEST_LOCATION = 1_000
_REASON_LENGTH = 100
_MOST_DETAILS = 20


class Verdict(StrEnum):
    """What follows from an answer, or from none."""

    DELIVERED = "DELIVERED"
    """The provider has taken the push."""
    DELETE_PUSH_TOKEN = "DELETE_PUSH_TOKEN"  # noqa: S105 - no secret
    """Failed; the push token is dead."""
    OTHER_ENVIRONMENT = "OTHER_ENVIRONMENT"
    """APNs does not know the push token here; it may in its other environment, where `ApnsProvider` asks by itself.
    Failed where that one is not reached; the push token stays."""
    RETRY = "RETRY"
    """Another attempt may succeed, not before `retry_after_seconds` where there is one."""
    NEW_PROVIDER_TOKEN = "NEW_PROVIDER_TOKEN"  # noqa: S105 - no secret
    """What we authenticated with has run out. The providers get a new one and ask again by themselves."""
    PARK = "PARK"
    """The credential is refused: nothing more by it until it is changed, but one probe a minute."""
    SUSPECT = "SUSPECT"
    """Failed; the push token stays. The credential, or what the app says of itself, is suspect."""
    FAILED = "FAILED"
    """Failed for good, for a reason of this push alone."""
    UNKNOWN = "UNKNOWN"
    """It went out and nothing came back: sent again, it may arrive twice, under the same id."""


class Rule(msgspec.Struct, frozen=True):
    """A row of a table. `meaning` is for people; `retry_after_seconds` for answers that name no time."""

    verdict: Verdict
    meaning: str
    retry_after_seconds: float | None = None


class Reaction(msgspec.Struct, frozen=True):
    """One answer, judged.

    `reason` is the provider's word, or ours for what never got an answer; `meaning` says it to a person; `status` is
    the HTTP status. `unregistered_at`: since when the push token is dead, in Unix milliseconds; one that was
    registered again later stays. `provider_id`: the provider's name for the push. `environment`: the one in which
    APNs knows the push token, where it is not the one that was on record. `stops_all`: whatever else waits for this
    provider has to wait as long.
    """

    verdict: Verdict
    reason: str
    status: int | None = None
    retry_after_seconds: float | None = None
    unregistered_at: int | None = None
    provider_id: str | None = None
    meaning: str = ""
    environment: str | None = None
    stops_all: bool = False

    @property
    def sentence(self) -> str:
        """The reason, for a person."""
        return f"{self.reason}: {self.meaning}" if self.meaning else self.reason


_FAILED, _PARK, _RETRY, _SUSPECT = Verdict.FAILED, Verdict.PARK, Verdict.RETRY, Verdict.SUSPECT
_DELETE, _DELIVERED, _NEW = Verdict.DELETE_PUSH_TOKEN, Verdict.DELIVERED, Verdict.NEW_PROVIDER_TOKEN

OTHER_REASON = "other"

APNS_REACTIONS: dict[tuple[int, str], Rule] = {
    (200, ""): Rule(_DELIVERED, ""),
    (400, "BadCollapseId"): Rule(_FAILED, "the collapse id is longer than 64 bytes"),
    (400, "BadDeviceToken"): Rule(Verdict.OTHER_ENVIRONMENT, "APNs does not know the push token"),
    (400, "BadExpirationDate"): Rule(_FAILED, "the expiration is not a time"),
    (400, "BadMessageId"): Rule(_FAILED, "the id of the push is not a UUID"),
    (400, "BadPriority"): Rule(_FAILED, "the priority does not fit the kind of push"),
    (400, "BadTopic"): Rule(_SUSPECT, "the bundle id of the credential is not one of an app"),
    (400, "DeviceTokenNotForTopic"): Rule(_SUSPECT, "the push token belongs to an app with another bundle id"),
    (400, "DuplicateHeaders"): Rule(_FAILED, "a header was sent twice"),
    (400, "IdleTimeout"): Rule(_RETRY, "APNs waited too long for the rest of the request"),
    (400, "InvalidPushType"): Rule(_FAILED, "APNs does not know the kind of push"),
    (400, "MissingDeviceToken"): Rule(_FAILED, "no push token was sent"),
    (400, "MissingTopic"): Rule(_SUSPECT, "the certificate has several topics, and the credential names none"),
    (400, "PayloadEmpty"): Rule(_FAILED, "the push was empty"),
    (400, "TopicDisallowed"): Rule(_SUSPECT, "the credential may not be used for this bundle id"),
    (403, "BadCertificate"): Rule(_PARK, "APNs does not accept the certificate"),
    (403, "BadCertificateEnvironment"): Rule(_PARK, "the certificate is for the other environment of APNs"),
    (403, "BadEnvironmentKeyIdInToken"): Rule(_PARK, "the key is for the other environment of APNs"),
    (403, "ExpiredProviderToken"): Rule(_NEW, "the provider token is too old"),
    (403, "Forbidden"): Rule(_PARK, "APNs forbids this credential to send"),
    (403, "InvalidProviderToken"): Rule(
        _PARK, "APNs does not accept the key: it was revoked, or the key id or the team id is another one"
    ),
    (403, "MissingProviderToken"): Rule(_PARK, "APNs wants a token key, or a certificate that it knows"),
    (403, "UnrelatedKeyIdInToken"): Rule(_PARK, "the key may not be used for this app"),
    (404, "BadPath"): Rule(_FAILED, "APNs does not know the address"),
    (405, "MethodNotAllowed"): Rule(_FAILED, "APNs does not allow the method"),
    (410, "ExpiredToken"): Rule(_DELETE, "the push token has expired"),
    (410, "Unregistered"): Rule(_DELETE, "the app was removed from the phone, or its push token replaced"),
    (413, "PayloadTooLarge"): Rule(_FAILED, "the push is larger than APNs takes"),
    (429, "TooManyProviderTokenUpdates"): Rule(
        _RETRY, "APNs was shown too many provider tokens of this key: does another system use it as well?", 60
    ),
    (429, "TooManyRequests"): Rule(_RETRY, "too many pushes to this push token"),
    (500, "InternalServerError"): Rule(_RETRY, "APNs has an error inside"),
    (503, "ServiceUnavailable"): Rule(_RETRY, "APNs is not available"),
    (503, "Shutdown"): Rule(_RETRY, "this server of APNs is being shut down"),
}
"""By status and `reason`. 410 counts unless the app registered after the `timestamp` of the answer."""

_APNS_BY_STATUS = {
    403: Rule(_PARK, "APNs refuses the credential"),
    410: Rule(_DELETE, "the push token is no longer in use"),
    429: Rule(_RETRY, "APNs was asked too often"),
}

BAD_REQUEST = "BadRequest"
FCM_ERROR = "FcmError"
_FCM_TYPES = {"google.firebase.fcm.v1.FcmError": FCM_ERROR, "google.rpc.BadRequest": BAD_REQUEST}
_TOO_MANY = 429

FCM_REACTIONS: dict[tuple[int, str, str], Rule] = {
    (200, "", ""): Rule(_DELIVERED, ""),
    (400, "INVALID_ARGUMENT", FCM_ERROR): Rule(_DELETE, "FCM does not know such a push token"),
    (400, "INVALID_ARGUMENT", BAD_REQUEST): Rule(_FAILED, "FCM does not accept the message"),
    (401, "THIRD_PARTY_AUTH_ERROR", FCM_ERROR): Rule(
        _SUSPECT, "Firebase has no valid APNs key or Web Push key for this push token"
    ),
    (401, "UNAUTHENTICATED", ""): Rule(_NEW, "FCM does not accept the access token"),
    (403, "SENDER_ID_MISMATCH", FCM_ERROR): Rule(_SUSPECT, "the push token belongs to another Firebase project"),
    (403, "PERMISSION_DENIED", ""): Rule(_PARK, "the service account may not send for this project"),
    (404, "UNREGISTERED", FCM_ERROR): Rule(_DELETE, "the app was removed from the phone, or its push token replaced"),
    (404, "NOT_FOUND", ""): Rule(_SUSPECT, "FCM does not know the project"),
    (429, "QUOTA_EXCEEDED", FCM_ERROR): Rule(_RETRY, "more pushes than FCM's quota allows", QUOTA_SECONDS),
    (429, "RESOURCE_EXHAUSTED", ""): Rule(_RETRY, "more pushes than FCM's quota allows", QUOTA_SECONDS),
    (500, "UNSPECIFIED_ERROR", FCM_ERROR): Rule(_RETRY, "FCM has an error that it does not name", FCM_BACKOFF_SECONDS),
    (500, "INTERNAL", FCM_ERROR): Rule(_RETRY, "FCM has an error inside", FCM_BACKOFF_SECONDS),
    (503, "UNAVAILABLE", FCM_ERROR): Rule(_RETRY, "FCM is not available", FCM_BACKOFF_SECONDS),
}
"""By status, code, and the type of detail that says so: of the two answers 400 INVALID_ARGUMENT only an `FcmError` says
that the push token is bad, unless a `BadRequest` beside it names another field."""

_FCM_BY_STATUS = {
    401: Rule(_NEW, "FCM does not accept the access token"),
    403: Rule(_PARK, "the service account may not send for this project"),
    429: Rule(_RETRY, "more pushes than FCM's quota allows", QUOTA_SECONDS),
    500: Rule(_RETRY, "FCM has an error inside", FCM_BACKOFF_SECONDS),
    503: Rule(_RETRY, "FCM is not available", FCM_BACKOFF_SECONDS),
}

WEB_PUSH_REACTIONS: dict[int, Rule] = {
    200: Rule(_DELIVERED, ""),
    201: Rule(_DELIVERED, ""),
    202: Rule(_DELIVERED, ""),
    400: Rule(_FAILED, "the push service does not accept the push"),
    401: Rule(_SUSPECT, "the push service does not accept the VAPID key for this subscription"),
    403: Rule(_SUSPECT, "the subscription was made with another VAPID key"),
    404: Rule(_DELETE, "the subscription is over"),
    410: Rule(_DELETE, "the subscription is over"),
    413: Rule(_FAILED, "the push is larger than the push service takes"),
    429: Rule(_RETRY, "the push service was asked too often", QUOTA_SECONDS),
}
"""By status (RFC 8030 §5, §7.3; RFC 8292 §4.2). One subscription's push service says nothing about another's, so no
answer parks the credential."""


class _ApnsBody(msgspec.Struct, frozen=True):
    reason: str = ""
    timestamp: Any = None


class _FcmError(msgspec.Struct, frozen=True):
    status: str = ""
    message: str = ""
    details: list[Any] = []


class _FcmBody(msgspec.Struct, frozen=True):
    error: _FcmError | None = None
    name: str | None = None


_NOT_JSON = (msgspec.MsgspecError, RecursionError)
"""The second one is what lists in lists in lists end in."""
_apns_body = msgspec.json.Decoder(_ApnsBody)
_fcm_body = msgspec.json.Decoder(_FcmBody)


def apns_reaction(status: int, headers: dict[bytes, bytes], body: bytes, now_ms: int) -> Reaction:
    """Judges an answer of APNs."""
    if status == 200 and not body:  # noqa: PLR2004 - nearly all answers
        return Reaction(_DELIVERED, "", status, provider_id=_text(headers.get(b"apns-id")))
    reason, since = apns_words(body)
    rule = APNS_REACTIONS.get((status, reason)) or _APNS_BY_STATUS.get(status) or _by_class(status, "APNs")
    return Reaction(
        rule.verdict,
        reason or f"HTTP {status}",
        status,
        retry_after_seconds=_retry_after(rule, headers, now_ms),
        unregistered_at=since if rule.verdict is _DELETE else None,
        provider_id=_text(headers.get(b"apns-id")),
        meaning=rule.meaning,
    )


def apns_words(body: bytes) -> tuple[str, int | None]:
    """`reason` and `timestamp` (Unix milliseconds) of a body, or of the debug data of a GOAWAY; empty where missing."""
    try:
        words = _apns_body.decode(body)
    except _NOT_JSON:
        return "", None
    since = words.timestamp
    known = isinstance(since, int) and not isinstance(since, bool) and 0 < since < UNREGISTERED_LIMIT
    return _clean(words.reason), since if known else None


def fcm_reaction(status: int, headers: dict[bytes, bytes], body: bytes, now_ms: int) -> Reaction:
    """Judges an answer of FCM."""
    words = _fcm_words(body)
    if status == 200:  # noqa: PLR2004 - nearly all answers
        return Reaction(_DELIVERED, "", status, provider_id=_clean(words.name or "") or None)
    error = words.error or _FcmError()
    code, said_by, fields = _fcm_details(error)
    rule = (
        FCM_REACTIONS.get((status, code, said_by))
        or FCM_REACTIONS.get((status, code, ""))
        or _FCM_BY_STATUS.get(status)
        or _by_class(status, "FCM")
    )
    meaning = f"{rule.meaning} ({fields})" if fields and rule.verdict is _FAILED else rule.meaning
    return Reaction(
        rule.verdict,
        code or f"HTTP {status}",
        status,
        retry_after_seconds=_retry_after(rule, headers, now_ms),
        meaning=meaning,
        stops_all=status == _TOO_MANY and _is_about_the_project(error, code),
    )


def web_push_reaction(status: int, headers: Mapping[str, str], now_ms: int) -> Reaction:
    """Judges an answer of a push service. `headers` by name in lower case."""
    rule = WEB_PUSH_REACTIONS.get(status) or _by_class(status, "the push service")
    delivered = rule.verdict is _DELIVERED
    return Reaction(
        rule.verdict,
        "" if delivered else f"HTTP {status}",
        status,
        retry_after_seconds=_pause(rule, retry_after_seconds(headers.get("retry-after", ""), now_ms)),
        provider_id=(_clean(headers.get("location", ""), LONGEST_LOCATION) or None) if delivered else None,
        meaning=rule.meaning,
    )


def _fcm_words(body: bytes) -> _FcmBody:
    try:
        return _fcm_body.decode(body)
    except _NOT_JSON:
        return _FcmBody()


def _fcm_details(error: _FcmError) -> tuple[str, str, str]:
    """The code, the type of detail that has the last word, and the fields that are named."""
    code, kinds, fields = error.status, set[str](), list[str]()
    for detail in error.details[:_MOST_DETAILS]:
        if not isinstance(detail, dict):
            continue
        kind = _FCM_TYPES.get(str(detail.get("@type", "")).rpartition("/")[2], "")
        kinds.add(kind)
        if kind == FCM_ERROR and isinstance(detail.get("errorCode"), str):
            code = detail["errorCode"]
        violations = detail.get("fieldViolations")
        if kind == BAD_REQUEST and isinstance(violations, list):
            named = (violation.get("field") for violation in violations[:_MOST_DETAILS] if isinstance(violation, dict))
            fields += [_clean(field) for field in named if isinstance(field, str)]
    about_token_only = FCM_ERROR in kinds and set(fields) <= {"message.token"}
    said_by = FCM_ERROR if about_token_only else BAD_REQUEST if BAD_REQUEST in kinds else ""
    return _clean(code), said_by, ", ".join(fields)


def _is_about_the_project(error: _FcmError, code: str) -> bool:
    """Whether a quota of the whole project is used up. That of one phone has the same code, QUOTA_EXCEEDED."""
    subjects = list[Any]()
    for detail in error.details[:_MOST_DETAILS]:
        if not isinstance(detail, dict):
            continue
        violations, metadata = detail.get("violations"), detail.get("metadata")
        if isinstance(violations, list):  # google.rpc.QuotaFailure
            subjects += [one.get("subject") for one in violations[:_MOST_DETAILS] if isinstance(one, dict)]
        if isinstance(metadata, dict):  # google.rpc.ErrorInfo
            subjects.append(metadata.get("consumer"))
    return code == "RESOURCE_EXHAUSTED" or any(str(one).startswith("project") for one in subjects)


def _by_class(status: int, who: str) -> Rule:
    """What a status means that no table has: by its hundreds (RFC 9110 §15)."""
    if 200 <= status < 300:  # noqa: PLR2004 - as in the RFC
        return Rule(_DELIVERED, "")
    if status >= 500 or status in {408, 425}:  # noqa: PLR2004 - as in the RFC
        return Rule(_RETRY, f"{who} has a problem")
    return Rule(_FAILED, f"{who} does not accept the request")


def _retry_after(rule: Rule, headers: dict[bytes, bytes], now_ms: int) -> float | None:
    return _pause(rule, retry_after_seconds(_text(headers.get(b"retry-after")) or "", now_ms))


def _pause(rule: Rule, asked: float | None) -> float | None:
    """Seconds until another attempt: those that the answer asks for, else the table's."""
    if rule.verdict is not _RETRY:
        return None
    return rule.retry_after_seconds if asked is None else asked


def _text(value: bytes | None) -> str | None:
    return None if value is None else _clean(value.decode("latin-1"))


def _clean(text: str, limit: int = _REASON_LENGTH) -> str:
    """A stranger's words end up in logs and in the database."""
    text = text[:limit]
    return text if text.isprintable() else "".join(letter for letter in text if letter.isprintable())
