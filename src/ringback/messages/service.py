"""The fan-out: from a user to the push tokens of their phones, with the reason for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.clock import Clock, Randomness, first_id_at, new_id
from ringback.languages import choose, preferred_languages
from ringback.messages import queries
from ringback.messages.choosing import ends_of, why_not
from ringback.messages.content import content_of
from ringback.messages.model import Considered, Notice, NoticeRow, Text, Told
from ringback.push import NewPush
from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.devices import PushTarget
    from ringback.messages.needs import PushQueue, PushTargets

KEPT_MS = 30 * 86_400_000
"""How long one can ask why somebody was or was not told."""
MOST_UNUSED = 200
"""So many phones and push tokens that were not used are written down, where a user has very many."""
_encode = msgspec.json.Encoder().encode


class MessagesService:
    """Tells users things, and writes down whom it told."""

    def __init__(self, *, clock: Clock, randomness: Randomness, devices: PushTargets, pushes: PushQueue) -> None:
        self._clock = clock
        self._randomness = randomness
        self._devices = devices
        self._pushes = pushes

    async def fan_out(self, tx: Tx, notice: Notice) -> list[str]:
        """Writes a push for each push token, and a notice that says why; returns the push ids.

        Reads before it writes, so call it before writes.
        """
        return list((await self.tell(tx, notice)).push_ids)

    async def tell(self, tx: Tx, notice: Notice) -> Told:
        """As `fan_out`; returns the notice's id as well. One that reaches nobody is written down too."""
        targets = await self._devices.push_targets(tx, notice.user_id)
        notice_id = new_id(self._clock, self._randomness)
        considered: list[Considered] = []
        pushes: list[NewPush] = []
        for target in targets:
            reason = why_not(notice, target)
            considered.append(_considered(target, reason))
            if reason is None:
                pushes.append(_push(notice, notice_id, target))
        push_ids = await self._pushes.queue_all(tx, pushes)
        await self._write(tx, notice_id, notice, _with_push_ids(_worth_writing(considered), push_ids))
        return Told(notice_id, tuple(push_ids))

    async def purge(self, tx: Tx, limit: int) -> int:
        """Unit for the job: forgets up to `limit` notices older than 30 days; returns how many."""
        before = self._clock.now_ms() - KEPT_MS
        return len(await tx.all(queries.purge_notices, first_id_at(before), limit))

    async def _write(self, tx: Tx, notice_id: str, notice: Notice, considered: list[Considered]) -> None:
        row = NoticeRow(
            id=notice_id,
            user_id=notice.user_id,
            app_ids=_encode(notice.app_ids).decode(),
            subject_kind=notice.subject_kind,
            subject_id=notice.subject_id or notice.operation_id or notice.campaign_id or notice_id,
            considered=_encode(considered).decode(),
            created_at=self._clock.now_ms(),
        )
        await tx.run(queries.insert_notice, *msgspec.structs.astuple(row))


def _push(notice: Notice, notice_id: str, target: PushTarget) -> NewPush:
    text = choose(notice.texts, preferred_languages(target.language)) or Text(notice.title, notice.message)
    return NewPush(
        app_id=target.app_id,
        user_id=notice.user_id,
        registration_id=target.registration_id,
        kind=target.kind or "",
        push_token_id=target.push_token_id,
        content=content_of(notice, text, target.registration_id),
        operation_id=notice.operation_id,
        deadline_ms=notice.deadline_ms,
        notice_id=notice_id,
        campaign_id=notice.campaign_id,
    )


def _considered(target: PushTarget, reason: str | None) -> Considered:
    return Considered(
        app_id=target.app_id,
        used=reason is None,
        reason=reason,
        push_token_id=target.push_token_id,
        push_token=None if target.push_token is None else ends_of(target.push_token),
        registration_id=target.registration_id,
        device_pkid=target.device_pkid,
        kind=target.kind,
        environment=target.environment,
        language=target.language,
    )


def _worth_writing(considered: list[Considered]) -> list[Considered]:
    """All that were used, and not too many of the others."""
    unused = [one for one in considered if not one.used]
    if len(unused) <= MOST_UNUSED:
        return considered
    return [*(one for one in considered if one.used), *unused[:MOST_UNUSED]]


def _with_push_ids(considered: Sequence[Considered], push_ids: Sequence[str]) -> list[Considered]:
    left = iter(push_ids)
    return [msgspec.structs.replace(one, push_id=next(left)) if one.used else one for one in considered]
