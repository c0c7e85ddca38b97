"""Live Activities of iPhones: a back end names the push token of one activity, and what changes there.

Such a push token belongs to an activity, not to a phone: it is kept with the push alone, and nothing else is ever sent
to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.errors import invalid_field
from ringback.messages import queries
from ringback.messages.audience import chosen_apps
from ringback.messages.choosing import ends_of
from ringback.messages.content import check_content
from ringback.messages.model import Considered, NoticeRow
from ringback.protocols.push_token_forms import APNS_HINT, apns_push_token
from ringback.push import LIVE_ACTIVITY, Content, LiveActivity, NewPush
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.messages.needs import AppAccess, Audit, PushQueue
    from ringback.messages.schema_live_activities import PushLiveActivity
    from ringback.principal import Principal

MOST_BYTES = 3_584
"""Of what iOS draws; APNs takes 4,096 with all that is around it."""
_encode = msgspec.json.Encoder().encode


class LiveActivities:
    """Units of work."""

    def __init__(
        self, *, clock: Clock, randomness: Randomness, access: AppAccess, pushes: PushQueue, audit: Audit
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._access = access
        self._pushes = pushes
        self._audit = audit

    async def push(self, tx: Tx, principal: Principal, command: PushLiveActivity) -> str:
        """Queues a change; returns the push id. Raises AppNotFound, InvalidRequest."""
        now = self._clock.now_ms()
        push_token = _checked(command, now)
        content = _content(command, push_token, now)
        check_content(content)
        await chosen_apps(tx, self._access, principal, [command.app_id])
        notice_id = new_id(self._clock, self._randomness)
        new = NewPush(
            app_id=command.app_id,
            user_id=command.user_id,
            kind=LIVE_ACTIVITY,
            content=content,
            deadline_ms=command.timestamp_expires,
            notice_id=notice_id,
        )
        [push_id] = await self._pushes.queue_all(tx, [new])
        considered = Considered(
            app_id=command.app_id,
            used=True,
            push_token=ends_of(push_token),
            kind=LIVE_ACTIVITY,
            environment=command.environment,
            push_id=push_id,
        )
        notice = NoticeRow(
            id=notice_id,
            user_id=command.user_id,
            app_ids=_encode([command.app_id]).decode(),
            subject_kind="liveActivity",
            subject_id=notice_id,
            considered=_encode([considered]).decode(),
            created_at=now,
        )
        await tx.run(queries.insert_notice, *msgspec.structs.astuple(notice))
        await self._audit.record(
            tx,
            principal,
            "live_activity.push",
            subject_kind="push",
            subject_id=push_id,
            app_id=command.app_id,
            user_id=command.user_id,
            details={"event": command.event},
        )
        return push_id


def _content(command: PushLiveActivity, push_token: str, now: int) -> Content:
    return Content(
        push_id="",
        purpose="live_activity",
        silent=command.priority < 10,  # noqa: PLR2004 - a silent push has priority 5
        title=command.title,
        body=command.message,
        sound=command.sound,
        user_id=command.user_id,
        live_activity=LiveActivity(
            event=command.event,
            timestamp=now // 1000,
            content_state=command.content_state,
            attributes_type=command.attributes_type,
            attributes=command.attributes,
            stale_date=_seconds(command.timestamp_stale),
            dismissal_date=_seconds(command.timestamp_dismissal),
            push_token=push_token,
            environment=command.environment,
        ),
    )


def _checked(command: PushLiveActivity, now: int) -> str:
    """The push token as APNs has it. Raises InvalidRequest."""
    push_token = apns_push_token(command.push_token)
    if push_token is None:
        raise invalid_field("pushToken", f"Send the push token of the activity {APNS_HINT}.")
    starts, ends = command.event == "start", command.event == "end"
    if command.content_state is None and not ends:
        raise invalid_field("contentState", "Only an end may leave it out.")
    for field, value in (("attributesType", command.attributes_type), ("attributes", command.attributes)):
        if (value is not None) != starts:
            raise invalid_field(field, "A start has it, and nothing else.")
    if starts and not (command.title or "").strip():
        raise invalid_field("title", "A start says something: without an alert APNs does not start an activity.")
    if command.timestamp_dismissal is not None and not ends:
        raise invalid_field("timestampDismissal", "Only an end has it.", command.timestamp_dismissal)
    if len(_encode([command.content_state, command.attributes])) > MOST_BYTES:
        raise invalid_field("contentState", f"With attributes, at most {MOST_BYTES} bytes as JSON.")
    expires = command.timestamp_expires
    if expires is not None and expires <= now:
        raise invalid_field("timestampExpires", "This time must be in the future.", expires)
    return push_token


def _seconds(moment: int | None) -> int | None:
    return None if moment is None else moment // 1000
