"""Why a push was or was not sent, and what became of it. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.errors import PushNotFound
from ringback.messages import queries
from ringback.messages.model import Considered, NoticeRow
from ringback.messages.model_tracing import PushesWanted, Sending, Trace, TracedPush
from ringback.outbox import read_deliveries
from ringback.store import Tx

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringback.messages.needs import AppAccess, Calls
    from ringback.principal import Principal

WALKED_AT_MOST = 1000
"""So many notices are looked at for one page, however few of them are of the principal's apps."""

_AFTER_ALL_IDS = "g"
_TIME_OF_ID = 24
_NO_NODE = "0" * 12
"""Ids end with as many random digits."""

_encode = msgspec.json.Encoder().encode
_app_ids = msgspec.json.Decoder(list[str]).decode
_considered = msgspec.json.Decoder(list[Considered]).decode


class Tracing:
    """Units of work that only read. `reach`: the apps that may be known of, or None for all."""

    def __init__(self, *, access: AppAccess, calls: Calls) -> None:
        self._access = access
        self._calls = calls

    async def of_push(self, tx: Tx, principal: Principal, any_id: str) -> Trace:
        """What came of a notice, or of the notice or the call that a push belongs to. Raises PushNotFound."""
        return await self.trace(tx, await self._access.reach_of(tx, principal), any_id)

    async def trace(self, tx: Tx, reach: frozenset[str] | None, any_id: str) -> Trace:
        """As `of_push`."""
        if "\0" in any_id:
            raise PushNotFound
        notice = await tx.one(queries.notice_by_id, any_id)
        push: TracedPush | None = None
        if notice is None:
            push = await tx.one(queries.traced_push, any_id)
        if push is not None and push.notice_id is not None:
            if not _is_known(reach, [push.app_id]):
                raise PushNotFound
            notice = await tx.one(queries.notice_by_id, push.notice_id)
        if notice is not None and _is_known(reach, _app_ids(notice.app_ids)):
            return (await self._traces(tx, reach, [notice]))[0]
        if push is None or not _is_known(reach, [push.app_id]):
            raise PushNotFound
        return await self._of_call(tx, reach, push)

    async def of_message(self, tx: Tx, principal: Principal, message_id: str) -> Trace:
        """What came of a message. Raises PushNotFound."""
        if "\0" in message_id:
            raise PushNotFound
        reach = await self._access.reach_of(tx, principal)
        notice = await tx.one(queries.message_notice, message_id)
        if notice is None or not _is_known(reach, _app_ids(notice.app_ids)):
            raise PushNotFound
        return (await self._traces(tx, reach, [notice]))[0]

    async def page(self, tx: Tx, principal: Principal, wanted: PushesWanted) -> tuple[list[Trace], str | None]:
        """What came of the notices of a user or about a subject, newest first, and where the next page begins."""
        return await self.traces(tx, await self._access.reach_of(tx, principal), wanted)

    async def traces(
        self, tx: Tx, reach: frozenset[str] | None, wanted: PushesWanted
    ) -> tuple[list[Trace], str | None]:
        """As `page`."""
        of_user = bool(wanted.user_id)
        query = queries.walked_notices_of_user if of_user else queries.walked_notices_of_subject
        key = wanted.user_id or wanted.subject_id
        walked = await tx.all(query, key, wanted.before or _AFTER_ALL_IDS, WALKED_AT_MOST)
        known = [one for one, app_ids in walked if _is_known(reach, _app_ids(app_ids))]
        shown = known[: wanted.limit]
        if not shown and len(walked) < WALKED_AT_MOST:
            return [], None
        notices = await tx.all(queries.notices_by_ids, _encode(shown).decode()) if shown else []
        notices.sort(key=lambda one: one.id, reverse=True)
        traces = await self._traces(tx, reach, notices)
        if len(known) > wanted.limit:
            return traces, shown[-1]
        # The last one may be of an app that the principal must not know: then only the time in its id is told.
        last = walked[-1][0]
        goes_on = len(walked) == WALKED_AT_MOST
        return traces, (last[:_TIME_OF_ID] + _NO_NODE) if goes_on else None

    @staticmethod
    async def sendings_of(tx: Tx, reach: frozenset[str] | None, notice_id: str) -> list[Sending]:
        """What became of the pushes that belong together by this id, of a call for instance; oldest first."""
        pushes = await tx.all(queries.traced_pushes, _encode([notice_id]).decode())
        return await _sendings(tx, [push for push in pushes if _is_known(reach, [push.app_id])])

    async def _of_call(self, tx: Tx, reach: frozenset[str] | None, push: TracedPush) -> Trace:
        """What came of the call that a push of no notice belongs to, or of the push alone."""
        considered = None if push.notice_id is None else await self._calls.considered_for(tx, push.notice_id)
        if push.notice_id is None or considered is None:
            return Trace(None, (), tuple(await _sendings(tx, [push])))
        known = tuple(one for one in considered if _is_known(reach, [one.app_id]))
        return Trace(None, known, tuple(await self.sendings_of(tx, reach, push.notice_id)), push.notice_id)

    @staticmethod
    async def _traces(tx: Tx, reach: frozenset[str] | None, notices: Sequence[NoticeRow]) -> list[Trace]:
        if not notices:
            return []
        pushes = await tx.all(queries.traced_pushes, _encode([one.id for one in notices]).decode())
        sendings: dict[str, list[Sending]] = {one.id: [] for one in notices}
        for sending in await _sendings(tx, [push for push in pushes if _is_known(reach, [push.app_id])]):
            sendings[sending.push.notice_id or ""].append(sending)
        return [
            Trace(
                one,
                tuple(seen for seen in _considered(one.considered) if _is_known(reach, [seen.app_id])),
                tuple(sendings[one.id]),
            )
            for one in notices
        ]


async def _sendings(tx: Tx, pushes: Sequence[TracedPush]) -> list[Sending]:
    """The pushes with their deliveries and attempts, in the order of their ids."""
    histories = await read_deliveries(tx, [push.id for push in pushes]) if pushes else {}
    found = []
    for push in sorted(pushes, key=lambda one: one.id):
        delivery, attempts = histories.get(push.id, (None, []))
        found.append(Sending(push, delivery, tuple(attempts)))
    return found


def _is_known(reach: frozenset[str] | None, app_ids: Iterable[str]) -> bool:
    return reach is None or not reach.isdisjoint(app_ids)
