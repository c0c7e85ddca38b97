"""Callbacks as the APIs show them. Field names: PowerAuth server, callback URL management."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

DurationText = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000_000)]
Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class HttpBasicContent(msgspec.Struct, frozen=True, rename="camel"):
    """HTTP Basic; user name and password are needed when it is enabled."""

    enabled: bool = False
    username: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    password: Annotated[str, msgspec.Meta(max_length=1000)] | None = None

    def __repr__(self) -> str:
        return f"HttpBasicContent(enabled={self.enabled})"


class NotYet(msgspec.Struct, frozen=True):
    """A way of authenticating that this server does not know yet: may only be disabled."""

    enabled: bool = False


class AuthenticationContent(msgspec.Struct, frozen=True, rename="camel"):
    """How the server authenticates to the receiver. Left out: not at all."""

    http_basic: HttpBasicContent | None = None
    certificate: NotYet | None = None
    oauth2: NotYet | None = None


class CallbackContent(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A callback as a back end wants it. Durations are ISO 8601 (`PT2S`) or milliseconds.

    `authentication`: left out in a change, it stays as it is. `longTypeNames`: the payload's `type` is the callback's
    `type` instead of OPERATION, ACTIVATION and CALL.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    type: Literal[
        "OPERATION_STATUS_CHANGE", "REGISTRATION_STATUS_CHANGE", "ACTIVATION_STATUS_CHANGE", "CALL_STATUS_CHANGE"
    ]
    callback_url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    attributes: Annotated[list[Attribute], msgspec.Meta(max_length=50)] | None = None
    authentication: AuthenticationContent | None = None
    retention_period: DurationText | Milliseconds | None = None
    initial_backoff: DurationText | Milliseconds | None = None
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    long_type_names: bool | None = None
    enabled: bool | None = None


class HttpBasicShown(msgspec.Struct, frozen=True, rename="camel"):
    """HTTP Basic without the password, which is never shown."""

    enabled: bool
    username: str
    password_set: bool = True


class AuthenticationShown(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How the server authenticates; empty: not at all."""

    http_basic: HttpBasicShown | None = None


class CallbackShown(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A callback."""

    id: str
    application_id: str
    name: str
    type: str
    callback_url: str
    attributes: list[str]
    authentication: AuthenticationShown
    retention_period: str
    initial_backoff: str
    max_attempts: int
    long_type_names: bool
    enabled: bool
    timestamp_created: int


class CallbackList(msgspec.Struct, frozen=True):
    """The callbacks of an app, oldest first."""

    callbacks: list[CallbackShown]


class DeliveryAttempt(msgspec.Struct, frozen=True, rename="camel"):
    """One attempt; `detail`: what went wrong, or the status that the receiver answered."""

    attempt: int
    timestamp: int
    outcome: Literal["DELIVERED", "FAILED", "REFUSED"]
    detail: str | None
    duration_ms: int


class CallbackDelivery(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One delivery. `id` is the Idempotency-Key that the receiver saw; `payload`: the JSON that was told."""

    id: str
    status: Literal["PENDING", "DELIVERED", "FAILED"]
    payload: dict[str, Any]
    timestamp_created: int
    timestamp_finished: int | None
    timestamp_next_attempt: int | None
    reason: str | None
    attempts: list[DeliveryAttempt]


class DeliveryPage(msgspec.Struct, frozen=True, rename="camel"):
    """Some deliveries, newest first; `nextCursor` asks for the next ones, null when these were the last."""

    items: list[CallbackDelivery]
    next_cursor: str | None
