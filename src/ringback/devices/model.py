"""What a registration is, how its status may change, and what the checks of a phone's proofs come to."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ringback.errors import RegistrationChangeRefused
from ringback.protocols.powerauth.headers import SignatureHeader, TokenHeader
from ringback.protocols.powerauth.versions import P256

Status = Literal["CREATED", "PENDING_COMMIT", "ACTIVE", "BLOCKED", "REMOVED"]
StatusEvent = Literal[
    "key_exchange",
    "key_exchange_commits",
    "device_key_refused",
    "otp_attempts_used_up",
    "commit",
    "block",
    "attempts_used_up",
    "unblock",
    "cancel",
    "remove",
    "expire",
]

TRANSITIONS: tuple[tuple[Status, StatusEvent, Status], ...] = (
    ("CREATED", "key_exchange", "PENDING_COMMIT"),
    ("CREATED", "key_exchange_commits", "ACTIVE"),
    ("CREATED", "device_key_refused", "REMOVED"),
    ("CREATED", "otp_attempts_used_up", "REMOVED"),
    ("CREATED", "cancel", "REMOVED"),
    ("CREATED", "remove", "REMOVED"),
    ("CREATED", "expire", "REMOVED"),
    ("PENDING_COMMIT", "commit", "ACTIVE"),
    ("PENDING_COMMIT", "otp_attempts_used_up", "REMOVED"),
    ("PENDING_COMMIT", "cancel", "REMOVED"),
    ("PENDING_COMMIT", "remove", "REMOVED"),
    ("PENDING_COMMIT", "expire", "REMOVED"),
    ("ACTIVE", "block", "BLOCKED"),
    ("ACTIVE", "attempts_used_up", "BLOCKED"),
    ("ACTIVE", "remove", "REMOVED"),
    ("BLOCKED", "unblock", "ACTIVE"),
    ("BLOCKED", "remove", "REMOVED"),
)
"""Every change of status there is (PowerAuth specification, "Activation", activation states)."""

_NEXT: dict[tuple[str, str], Status] = {(status, event): to for status, event, to in TRANSITIONS}

IN_PROGRESS: frozenset[str] = frozenset({"CREATED", "PENDING_COMMIT"})
"""Statuses that last only until the registration expires."""

CommitPhase = Literal["ON_COMMIT", "ON_KEY_EXCHANGE"]
"""Which step makes a registration ACTIVE. An activation OTP, when one is expected, is checked at this step."""

POSSESSION = "possession"
"""The one signature type that neither counts failures nor clears them: it needs nothing that a person knows or is."""

MAX_FAILED_ATTEMPTS = "MAX_FAILED_ATTEMPTS"
NOT_SPECIFIED = "NOT_SPECIFIED"
SUITE_P256 = P256.name


def next_status(status: str, event: str) -> Status:
    """The status after `event`; raises RegistrationChangeRefused when TRANSITIONS has no such row."""
    try:
        return _NEXT[status, event]
    except KeyError:
        raise RegistrationChangeRefused(
            f"A registration in status {status} cannot {event.replace('_', ' ')}."
        ) from None


class Registration(msgspec.Struct, frozen=True):
    """One phone of one user in one app: a row of `registrations`. Times are Unix milliseconds."""

    id: str
    app_id: str
    user_id: str
    status: Status
    blocked_reason: str | None
    protocol_version: str | None
    suite: str
    flags: tuple[str, ...]
    name: str | None
    platform: str | None
    device_info: str | None
    extras: str | None
    external_id: str | None
    external_user_id: str | None
    activation_code: str
    commit_phase: str
    device_public_key: bytes | None
    server_public_key: bytes | None
    server_private_key_sealed: bytes | None
    master_secret_sealed: bytes | None
    ctr: int
    ctr_data: bytes | None
    failed_attempts: int
    max_failed_attempts: int
    look_ahead: int
    created_at: int
    expires_at: int
    last_used_at: int
    version: int
    activation_type: str = "CODE"
    activation_otp_fingerprint: bytes | None = None
    """None: no OTP is expected. Empty: one is, and the back end has still to say which."""

    def is_expired(self, now_ms: int) -> bool:
        """Whether it is in progress and its time is over: from the millisecond `expires_at` on."""
        return self.status in IN_PROGRESS and now_ms >= self.expires_at

    @property
    def remaining_attempts(self) -> int:
        """Wrong signatures that are left before the registration is blocked."""
        return max(0, self.max_failed_attempts - self.failed_attempts)


_FLAGS = Registration.__struct_fields__.index("flags")


def registration_row(*values: Any) -> Registration:
    """A row of the database as a Registration; `flags` is JSON there."""
    row: list[Any] = list(values)
    row[_FLAGS] = () if row[_FLAGS] == "[]" else msgspec.json.decode(row[_FLAGS], type=tuple[str, ...])
    return Registration(*row)


class DeviceLimits(msgspec.Struct, frozen=True):
    """The figures of this room, from the settings. Seconds unless the name says otherwise."""

    activation_validity_seconds: int = 120
    max_failed_attempts: int = 5
    signature_look_ahead: int = 20
    temporary_key_validity_seconds: int = 300
    request_window_seconds: int = 60
    mac_token_past_seconds: int = 7200
    mac_token_future_seconds: int = 1800
    activation_attempts_per_minute: int = 60
    vault_unlock_with_biometry: bool = False
    delete_any_registration: bool = False


class SignatureCheck(msgspec.Struct, frozen=True):
    """A signed request. `body` is the canonical data: the raw body, or for GET the canonical query.

    `plaintext`: what the body decrypts to, where phones sign before they encrypt. Either signature is right then: both
    prove that the phone made this content.
    """

    method: str
    uri_id: str
    header: SignatureHeader
    body: bytes
    plaintext: bytes | None = None


class SignatureOutcome(msgspec.Struct, frozen=True):
    """What a signature check came to. A check leaves its marks also when it fails, so this is returned, not raised.

    `status`: of the registration after the check; REMOVED for an unknown one. `registration`: as it is after the check.
    """

    valid: bool
    registration_id: str
    user_id: str | None
    app_id: str | None
    status: str
    blocked_reason: str | None
    signature_type: str
    remaining_attempts: int
    flags: tuple[str, ...]
    registration: Registration | None


class MacTokenCheck(msgspec.Struct, frozen=True):
    """A request with an X-PowerAuth-Token header."""

    header: TokenHeader


class MacTokenOutcome(msgspec.Struct, frozen=True):
    """What a MAC token check came to. For an unknown MAC token `registration_id` is empty and `status` REMOVED.

    `signature_type`: the factors with which the MAC token was made. `proven`: the digest is right, in time and new; it
    is also `valid` when the registration is ACTIVE. Only who proved the MAC token may learn that it is not.
    """

    valid: bool
    registration_id: str
    user_id: str | None
    app_id: str | None
    status: str
    signature_type: str
    proven: bool = False


class PushTarget(msgspec.Struct, frozen=True):
    """A push token of a user, or a registration that has none.

    `status`: of the registration; None for a UDS device. Without a push token all that follows is None. `suspended`:
    nobody may be reached there now.
    """

    app_id: str
    registration_id: str | None = None
    device_pkid: str | None = None
    status: Status | None = None
    push_token_id: str | None = None
    kind: str | None = None
    push_token: str | None = None
    environment: str | None = None
    language: str | None = None
    suspended: bool | None = None

    def __repr__(self) -> str:
        return f"PushTarget({self.registration_id or self.device_pkid}, {self.kind})"
