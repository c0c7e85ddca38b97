"""What a push says, whoever carries it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Purpose = Literal["message", "call", "call_cancelled", "live_activity", "binding_refresh"]


class CallContent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An incoming call: who calls, and the pilot number of the hunt group that was dialled, if any.

    `ring_expires_at`: when the caller is given up, in Unix milliseconds.
    """

    display_name: str = ""
    display_number: str = ""
    hunt_pilot_dn: str = ""
    ring_expires_at: int | None = None


class LiveActivity(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A change of an iOS Live Activity. Times in Unix seconds, as Apple has them; `attributes` only for `start`.

    `push_token` and its `environment`: of the activity, which only this push knows.
    """

    event: Literal["start", "update", "end"]
    timestamp: int
    content_state: dict[str, Any] | None = None
    attributes_type: str | None = None
    attributes: dict[str, Any] | None = None
    stale_date: int | None = None
    dismissal_date: int | None = None
    push_token: str = ""
    environment: str | None = None


class Content(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What one push says; it is stored as JSON in the push's row (`pushes.payload`).

    `silent`: wakes the app, shows nothing. `extras`: for the app, not for the reader; any JSON under each name.
    `…_loc_key` and `…_loc_args`: the app has the text, in the language of the phone. `collapse_id`: the newest push of
    one id replaces the older ones (at most 64 bytes). `thread`: pushes that the phone shows together. `created_at`:
    Unix milliseconds.
    """

    push_id: str
    purpose: Purpose = "message"
    silent: bool = False
    title: str | None = None
    body: str | None = None
    sound: str | None = None
    badge: int | None = None
    icon: str | None = None
    category: str | None = None
    collapse_id: str | None = None
    thread: str | None = None
    title_loc_key: str | None = None
    title_loc_args: tuple[str, ...] = ()
    body_loc_key: str | None = None
    body_loc_args: tuple[str, ...] = ()
    extras: dict[str, Any] = {}
    call: CallContent | None = None
    live_activity: LiveActivity | None = None
    user_id: str = ""
    registration_id: str | None = None
    operation_id: str | None = None
    created_at: int = 0


_decoder = msgspec.json.Decoder(Content)
_encode = msgspec.json.Encoder().encode


def encode_content(content: Content) -> str:
    """The JSON text of a content, for the store."""
    return _encode(content).decode()


def decode_content(text: str) -> Content:
    """The content of such a text. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(text)
