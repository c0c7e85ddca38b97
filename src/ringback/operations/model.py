"""An operation, the template it is made from, the texts that phones show; states and their transitions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec

Status = Literal["PENDING", "APPROVED", "REJECTED", "CANCELED", "EXPIRED", "FAILED"]
Event = Literal["APPROVE", "REJECT", "CANCEL", "EXPIRE", "FAIL"]

# PowerAuth server, OperationServiceBehavior: everything but PENDING is final.
TRANSITIONS: dict[tuple[Status, Event], Status] = {
    ("PENDING", "APPROVE"): "APPROVED",
    ("PENDING", "REJECT"): "REJECTED",
    ("PENDING", "CANCEL"): "CANCELED",
    ("PENDING", "EXPIRE"): "EXPIRED",
    ("PENDING", "FAIL"): "FAILED",
}
_decode_parameters = msgspec.json.Decoder(dict[str, str]).decode
_decode_additional = msgspec.json.Decoder(dict[str, Any]).decode
decode_signature_types = msgspec.json.Decoder(list[str]).decode


def next_status(status: Status, event: Event) -> Status:
    """The status after `event`; raises ValueError where the table has none."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        msg = f"an operation that is {status} knows no {event}"
        raise ValueError(msg) from None


class Operation(msgspec.Struct, frozen=True):
    """One operation as it is stored; `parameters`, `additional_data` and `signature_types` are JSON."""

    id: str
    user_id: str | None
    status: Status
    template: str
    operation_type: str
    data: str
    parameters: str
    additional_data: str
    external_id: str | None
    activation_flag: str | None
    risk_flags: str
    language: str | None
    registration_id: str | None
    signature_types: str
    failure_count: int
    max_failure_count: int
    proximity_seed_sealed: bytes | None
    status_reason: str | None
    silent: bool
    created_at: int
    expires_at: int
    finalized_at: int | None
    version: int

    def parameter_map(self) -> dict[str, str]:
        """The parameters, by name."""
        return _decode_parameters(self.parameters) if self.parameters != "{}" else {}

    def additional_map(self) -> dict[str, Any]:
        """What was noted when it was approved or rejected."""
        return _decode_additional(self.additional_data)

    def signature_type_list(self) -> list[str]:
        """The signature types that approve it, such as `possession_knowledge`."""
        return decode_signature_types(self.signature_types)

    def has_flag_of(self, flags: Collection[str]) -> bool:
        """Whether a phone with these flags may answer."""
        return self.activation_flag is None or self.activation_flag in flags

    def is_overdue(self, now_ms: int) -> bool:
        """Whether it still says PENDING though its time is over."""
        return self.status == "PENDING" and now_ms >= self.expires_at

    def as_of(self, now_ms: int) -> Operation:
        """As it is for whoever only looks: EXPIRED from its last millisecond on, also before the row says so."""
        if not self.is_overdue(now_ms):
            return self
        return msgspec.structs.replace(self, status="EXPIRED", finalized_at=self.expires_at)


class FoundOperation(msgspec.Struct, frozen=True):
    """An operation and the apps that it belongs to."""

    operation: Operation
    app_ids: frozenset[str]


class Template(msgspec.Struct, frozen=True):
    """What operations of one name have in common; `signature_types` is JSON."""

    name: str
    operation_type: str
    data_template: str
    signature_types: str
    max_failure_count: int
    expiration_s: int
    risk_flags: str
    proximity_check_enabled: bool
    version: int


class Texts(msgspec.Struct, frozen=True):
    """What phones show about an operation type in one language, with `${parameter}`.

    `attributes`, `ui` and `result_texts` are JSON.
    """

    operation_type: str
    language: str
    title: str
    message: str
    attributes: str
    ui: str | None
    result_texts: str | None


Verdict = Literal[
    "DONE", "NOT_AUTHENTICATED", "UNKNOWN", "FLAG_MISSING", "REFUSED", "FINISHED", "CANCELED", "EXPIRED", "FAILED"
]
"""What came of a phone's answer. REFUSED: counted as a failure; FINISHED, CANCELED, EXPIRED, FAILED: too late."""
