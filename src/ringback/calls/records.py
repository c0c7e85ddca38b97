"""Which calls there were, and why each rang or did not. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.calls import queries
from ringback.calls.model import CallRow, CallsWanted, Considered, WalkedCall
from ringback.calls.showing import considered_of
from ringback.clock import first_id_at
from ringback.errors import CallNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.calls.needs import AppAccess, PushHistory
    from ringback.messages import Sending
    from ringback.principal import Principal
    from ringback.store import Query, Tx

WALKED_AT_MOST = 2000
"""So many calls are looked at for one page, however few of them are wanted, or of the principal's apps."""
_AFTER_ALL_IDS = "g"
_TIME_OF_ID = 24
_NO_NODE = "0" * 12
"""Ids end with as many random digits."""
_app_ids = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode


class FoundCall(msgspec.Struct, frozen=True):
    """A call, as far as the principal may know it."""

    row: CallRow
    considered: tuple[Considered, ...]
    sendings: tuple[Sending, ...]


class CallRecords:
    """Units of work that only read. `reach`: the apps that may be known of, or None for all."""

    def __init__(self, *, access: AppAccess, history: PushHistory) -> None:
        self._access = access
        self._history = history

    async def of(self, tx: Tx, principal: Principal, call_id: str) -> FoundCall:
        """One call, by its id. Raises CallNotFound."""
        return await self.find(tx, await self._access.reach_of(tx, principal), call_id)

    async def page(self, tx: Tx, principal: Principal, wanted: CallsWanted) -> tuple[list[CallRow], str | None]:
        """Some calls, newest first, and where the next page begins."""
        return await self.walk(tx, await self._access.reach_of(tx, principal), wanted)

    async def find(self, tx: Tx, reach: frozenset[str] | None, call_id: str) -> FoundCall:
        """As `of`."""
        if "\0" in call_id:
            raise CallNotFound
        row = await tx.one(queries.call_by_id, call_id)
        if row is None or not _is_known(reach, _app_ids(row.app_ids)):
            raise CallNotFound
        considered = [one for one in considered_of(row.considered) if _is_known(reach, [one.app_id])]
        return FoundCall(row, tuple(considered), tuple(await self._history.sendings_of(tx, reach, row.id)))

    async def walk(self, tx: Tx, reach: frozenset[str] | None, wanted: CallsWanted) -> tuple[list[CallRow], str | None]:
        """As `page`."""
        wanted = _in_lower_case(wanted)
        before = wanted.before or _AFTER_ALL_IDS
        if wanted.to_at is not None:
            before = min(before, first_id_at(wanted.to_at))
        since = first_id_at(wanted.from_at or 0)
        query, key = _way(wanted)
        walked = await tx.all(query, *key, before, since, WALKED_AT_MOST)
        known = [one.id for one in walked if _is_known(reach, _app_ids(one.app_ids)) and one.is_wanted(wanted)]
        shown = known[: wanted.limit]
        rows = await tx.all(queries.calls_by_ids, _encode(shown).decode()) if shown else []
        rows.sort(key=lambda one: one.id, reverse=True)
        if len(known) > wanted.limit:
            return rows, shown[-1]
        if len(walked) < WALKED_AT_MOST:
            return rows, None
        # The last one may be of an app that the principal must not know: then only the time in its id is told.
        return rows, walked[-1].id[:_TIME_OF_ID] + _NO_NODE


def _in_lower_case(wanted: CallsWanted) -> CallsWanted:
    """A domain is a host name, so whoever asks may write it in any case; a username is as it is."""
    username, at, domain = wanted.callee.rpartition("@")
    callee = f"{username}{at}{domain.lower()}"
    return msgspec.structs.replace(wanted, domain=wanted.domain.lower(), callee=callee)


def _way(wanted: CallsWanted) -> tuple[Query[WalkedCall], tuple[str, ...]]:
    """The index that finds the fewest."""
    if wanted.call_id:
        return queries.walked_calls_of_call_id, (wanted.call_id,)
    if wanted.callee:
        return queries.walked_calls_of_callee, (wanted.callee,)
    if wanted.user_id:
        return queries.walked_calls_of_user, (wanted.user_id,)
    if wanted.domain:
        return queries.walked_calls_of_domain, (wanted.domain,)
    return queries.walked_calls, ()


def _is_known(reach: frozenset[str] | None, app_ids: Iterable[str]) -> bool:
    return reach is None or not reach.isdisjoint(app_ids)
