"""From what a push says to what a provider carries. Pure: bytes out of a content.

What people read is in the provider's own members. `extras` lie where the mobile SDKs look for them: beside `aps` at
APNs, in `data` at FCM. With an encryption key nothing personal is readable on the way: the content is a JWE, at APNs
in `data` beside `aps`, at FCM in `body` of `data`, where the vendor's sample apps for the CUCM payload look for it.
Why so: docs/why/encrypted-push.md.

Sources: Apple, "Generating a remote notification"; FCM HTTP v1 `Message`; wultra/powerauth-push-server, "Push Message
Payload Mapping"; RFC 8291 §4 (size); seed 000 (V2 payload).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ringback.clock import Randomness
from ringback.protocols import jwe
from ringback.protocols.cucm_push import INCOMING_CALL, MISSED_CALL, VERSION, CallPush
from ringback.protocols.web_push import LONGEST_PLAINTEXT
from ringback.push.content import CallContent, Content
from ringback.push.fitting import PayloadRefused, fit

APNS_BYTES = 4_096
APNS_VOIP_BYTES = 5_120
FCM_BYTES = 4_096

PLACEHOLDER = "New message"
CALL_PLACEHOLDER = "Incoming call"
CALL_OVER_PLACEHOLDER = "The call is over"

_RESERVED_EXTRAS = frozenset({"aps", "pushid", "from", "message_type", "notification"})
_RESERVED_BEGINNINGS = ("google", "gcm")

_encode = msgspec.json.Encoder().encode


class Encryption(msgspec.Struct, frozen=True):
    """What encrypts one payload: the push token's key of 32 bytes, and 12 random bytes that are used only once."""

    key: bytes
    iv: bytes

    @classmethod
    def of(cls, key: bytes | None, randomness: Randomness) -> Encryption | None:
        """For the key that the app gave, if it gave one."""
        return None if key is None else cls(key, randomness.bytes(jwe.IV_BYTES))

    def __repr__(self) -> str:
        """Without the key."""
        return "Encryption()"


def unusable_extra(extras: dict[str, Any]) -> str | None:
    """The first name in `extras` that some provider keeps for itself, or None."""
    for name in extras:
        if not name or name in _RESERVED_EXTRAS or name.startswith(_RESERVED_BEGINNINGS):
            return name
    return None


def apns_payload(content: Content, *, voip: bool = False, encryption: Encryption | None = None) -> bytes:
    """The body of a request to APNs, at most 4,096 bytes, or 5,120 for PushKit (`voip`). Raises PayloadRefused."""
    _check_extras(content)
    limit = APNS_VOIP_BYTES if voip else APNS_BYTES
    if voip and content.call is None:
        raise PayloadRefused("call", "Only calls can be pushed to PushKit: iOS ends apps that are sent anything else.")
    if content.live_activity is not None:
        if encryption is not None:
            raise PayloadRefused("liveActivity", "A Live Activity is drawn by iOS, so it cannot be encrypted.")
        return fit(content, limit, _write_live_activity)
    if encryption is None:
        return fit(content, limit, _write_voip if voip else _write_apns)
    aps = {} if voip else _encrypted_aps(content)
    return _encrypted(content, encryption, limit, lambda text: {"aps": aps, "data": text})


def fcm_message(
    content: Content, push_token: str, *, ttl_seconds: int | None = None, encryption: Encryption | None = None
) -> bytes:
    """The body of a request to FCM HTTP v1, at most 4,096 bytes besides the push token. Raises PayloadRefused.

    Calls, silent and encrypted pushes are data messages: they wake the app, which decides what is shown.
    """
    _check_extras(content)
    if content.live_activity is not None:
        raise PayloadRefused("liveActivity", "Only iOS has Live Activities.")
    android: dict[str, Any] = {"priority": "NORMAL" if content.silent else "HIGH"}
    if ttl_seconds is not None:
        android["ttl"] = f"{ttl_seconds}s"
    if content.collapse_id:
        android["collapse_key"] = content.collapse_id
    limit = FCM_BYTES + len(_encode(push_token))
    if encryption is None:
        return fit(content, limit, lambda shortened: _write_fcm(shortened, push_token, android))
    return _encrypted(
        content,
        encryption,
        limit,
        lambda text: {"message": {"token": push_token, "data": {"body": text}, "android": android}},
    )


def web_push_payload(content: Content, *, encryption: Encryption | None = None) -> bytes:
    """What a service worker gets, before RFC 8291 encrypts it: at most 3,993 bytes. Raises PayloadRefused.

    With an encryption key it is a JWE in `data`, as at APNs, inside the encryption of Web Push.
    """
    if encryption is None:
        return fit(content, LONGEST_PLAINTEXT, write_content)
    return _encrypted(content, encryption, LONGEST_PLAINTEXT, lambda text: {"data": text})


def local_payload(content: Content, *, encryption: Encryption | None = None) -> bytes:
    """What the `local` provider hands out. It has no limit of its own."""
    if encryption is not None:
        text = jwe.encrypt(write_content(content), encryption.key, encryption.iv)
        return _encode({"pushId": content.push_id, "data": text, "timestampCreated": content.created_at})
    payload: dict[str, Any] = {
        "pushId": content.push_id,
        "userId": content.user_id,
        "title": content.title,
        "message": content.body,
        "sound": content.sound,
        "extras": content.extras,
        "registrationId": content.registration_id,
        "timestampCreated": content.created_at,
    }
    if content.silent:
        payload["silent"] = True
    if content.call is not None:
        payload["call"] = msgspec.to_builtins(_call_push(content, content.call))
    return _encode(payload)


def write_content(content: Content) -> bytes:
    """The content for the app itself: what is encrypted, and what a service worker gets.

    The V2 payload for a call. For a message the same `type`, `pushid` and `payloadversion`, with what the provider's
    own members would have said. `extras`, if any, are a member of their own in both.
    """
    if content.call is not None:
        call: dict[str, Any] = msgspec.to_builtins(_call_push(content, content.call))
        return _encode({**call, "extras": content.extras} if content.extras else call)
    said = {
        "type": content.purpose,
        "pushid": content.push_id,
        "payloadversion": VERSION,
        "silent": content.silent,
        "title": content.title,
        "body": content.body,
        "titleLocKey": content.title_loc_key,
        "titleLocArgs": content.title_loc_args,
        "bodyLocKey": content.body_loc_key,
        "bodyLocArgs": content.body_loc_args,
        "sound": content.sound,
        "badge": content.badge,
        "icon": content.icon,
        "category": content.category,
        "thread": content.thread,
        "extras": content.extras,
    }
    return _encode(_present(said))


def _encrypted(content: Content, encryption: Encryption, limit: int, around: Callable[[str], dict[str, Any]]) -> bytes:
    """The content as a JWE with `around` around it, shortened so that all of it is within the limit."""
    room = jwe.longest_payload(limit - len(_encode(around(""))))
    payload = fit(content, room, write_content)
    try:
        return _encode(around(jwe.encrypt(payload, encryption.key, encryption.iv)))
    except jwe.JweKeyInvalid as error:
        raise PayloadRefused("encryptionKey", str(error)) from error


def _encrypted_aps(content: Content) -> dict[str, Any]:
    """What iOS needs to wake the app: for a visible push its notification service extension, which decrypts."""
    if content.silent:
        return {"content-available": 1}
    placeholder = PLACEHOLDER if content.call is None else CALL_PLACEHOLDER
    if content.purpose == "call_cancelled":
        placeholder = CALL_OVER_PLACEHOLDER
    return {"alert": {"title": placeholder}, "mutable-content": 1}


def _write_voip(content: Content) -> bytes:
    return _encode({**content.extras, "aps": {}, **_call_members(content)})


def _write_apns(content: Content) -> bytes:
    aps: dict[str, Any] = {"content-available": 1} if content.silent else {"alert": _alert(content)}
    if not content.silent:
        aps["sound"] = content.sound
        aps["category"] = content.category
        aps["thread-id"] = content.thread
    aps["badge"] = content.badge
    return _encode({**content.extras, "aps": _present(aps), **_call_members(content)})


def _write_live_activity(content: Content) -> bytes:
    activity = content.live_activity
    if activity is None:
        raise PayloadRefused("liveActivity", "There is no Live Activity in this push.")
    alert = _alert(content)
    aps = {
        "timestamp": activity.timestamp,
        "event": activity.event,
        "stale-date": activity.stale_date,
        "dismissal-date": activity.dismissal_date,
        "attributes-type": activity.attributes_type,
        "alert": {**alert, "sound": content.sound} if alert and content.sound else alert,
    }
    drawn = {"content-state": activity.content_state, "attributes": activity.attributes}
    return _encode(
        {
            **content.extras,
            "aps": {**_present(aps), **{name: one for name, one in drawn.items() if one is not None}},
            **_call_members(content),
        }
    )


def _alert(content: Content) -> dict[str, Any]:
    title, body = content.title, content.body
    if content.call is not None and title is None:
        title, body = content.call.display_name or content.call.display_number, body or content.call.display_number
    return _present(
        {
            "title": title,
            "body": body,
            "title-loc-key": content.title_loc_key,
            "title-loc-args": content.title_loc_args,
            "loc-key": content.body_loc_key,
            "loc-args": content.body_loc_args,
        }
    )


def _write_fcm(content: Content, push_token: str, android: dict[str, Any]) -> bytes:
    data = {**content.extras, **_call_members(content)}
    message: dict[str, Any] = {
        "token": push_token,
        "data": {name: value if isinstance(value, str) else _encode(value).decode() for name, value in data.items()},
        "android": android,
    }
    if not content.silent and content.call is None:
        if visible := _present({"title": content.title, "body": content.body}):
            message["notification"] = visible
        shown = {
            "title_loc_key": content.title_loc_key,
            "title_loc_args": content.title_loc_args,
            "body_loc_key": content.body_loc_key,
            "body_loc_args": content.body_loc_args,
            "sound": content.sound,
            "icon": content.icon,
            # Without one of its own, its id: if it is sent twice, the phone shows it once.
            "tag": content.category or content.collapse_id or content.push_id,
            "notification_count": content.badge,
        }
        message["android"] = _present({**android, "notification": _present(shown)})
    return _encode({"message": message})


def _call_members(content: Content) -> dict[str, Any]:
    """The push id, and for a call the other members of the V2 payload."""
    if content.call is None:
        return {"pushid": content.push_id}
    members: dict[str, Any] = msgspec.to_builtins(_call_push(content, content.call))
    return members


def _call_push(content: Content, call: CallContent) -> CallPush:
    return CallPush(
        type=MISSED_CALL if content.purpose == "call_cancelled" else INCOMING_CALL,
        pushid=content.push_id,
        displayname=call.display_name,
        displaynumber=call.display_number,
        huntpilotdn=call.hunt_pilot_dn,
        ringexpiretime="" if call.ring_expires_at is None else str(call.ring_expires_at),
    )


def _check_extras(content: Content) -> None:
    name = unusable_extra(content.extras)
    if name is not None:
        raise PayloadRefused(f"extras.{name}", "Push providers keep this name in extras for themselves.")


def _present(members: dict[str, Any]) -> dict[str, Any]:
    """Without the members that say nothing. Zero says something: such a badge is taken away."""
    return {name: value for name, value in members.items() if value or type(value) is int}
