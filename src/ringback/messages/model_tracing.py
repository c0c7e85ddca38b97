"""What became of pushes: what people are told who ask why one did or did not arrive."""

from __future__ import annotations

from typing import Literal

import msgspec

from ringback.messages.model import Considered, NoticeRow
from ringback.outbox import Attempt, PastDelivery

PushStatus = Literal["QUEUED", "DELIVERED", "FAILED"]


class TracedPush(msgspec.Struct, frozen=True):
    """A push without what it says."""

    id: str
    notice_id: str | None
    campaign_id: str | None
    app_id: str
    user_id: str
    registration_id: str | None
    push_token_id: str | None
    kind: str
    operation_id: str | None
    created_at: int
    status: PushStatus
    reason: str | None
    provider_id: str | None


class Sending(msgspec.Struct, frozen=True):
    """A push, its delivery (None when it is over for long, or was never made) and the attempts."""

    push: TracedPush
    delivery: PastDelivery | None
    attempts: tuple[Attempt, ...]


class Trace(msgspec.Struct, frozen=True):
    """All that is known of one notice, or of one call, as far as the principal may know it.

    Of a push that belongs to neither, and of an old one, there is only the push. `call_record_id`: of the call.
    """

    notice: NoticeRow | None
    considered: tuple[Considered, ...]
    sendings: tuple[Sending, ...]
    call_record_id: str | None = None


class PushesWanted(msgspec.Struct, frozen=True):
    """Whose notices, or about what: one of the two. `before`: an id, or empty."""

    user_id: str = ""
    subject_id: str = ""
    before: str = ""
    limit: int = 50
