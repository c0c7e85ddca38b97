"""Which push credentials expire, told in time: a metric, and a line in the log once a day."""

from __future__ import annotations

import math
import warnings

import structlog
from prometheus_client import Gauge

from ringback.apps.model_push_credentials import Expiring, expiry
from ringback.apps.queries_push_credentials import expiring_credentials
from ringback.clock import Clock
from ringback.store import Tx

_log = structlog.get_logger("ringback.apps")
_DAY_MS = 86_400_000
_expires = Gauge(
    "ringback_push_credential_expires_seconds",
    "How long a push credential is still valid; negative when it has expired.",
    ("app", "kind"),
    multiprocess_mode="livemostrecent",
)
_NOBODY = math.nan
"""What is left of one that is gone: files that processes share forget no labels, and no alarm compares with it."""


class CredentialExpiry:
    """What the job keeps in mind: what it has told today."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, int] = {}
        self._shown: set[tuple[str, str]] = set()

    async def look(self, tx: Tx, limit: int) -> int:  # noqa: ARG002 - they are few: one of a kind for each app
        """Unit for the job. It may run again: what it does outside of `tx` it does once."""
        found = await tx.all(expiring_credentials)
        for one in found:
            _expires.labels(one.app_id, one.kind).set((one.not_after - self._clock.now_ms()) / 1000)
            self._tell(one)
        shown = {(one.app_id, one.kind) for one in found}
        for gone in self._shown - shown:
            _forget(*gone)
        self._shown = {*shown}
        self._told = {one.id: self._told[one.id] for one in found if one.id in self._told}
        return 0

    def _tell(self, one: Expiring) -> None:
        now = self._clock.now_ms()
        state = expiry(one.not_after, now)
        if state is None or 0 <= now - self._told.get(one.id, now - _DAY_MS) < _DAY_MS:
            return
        self._told[one.id] = now
        days = (one.not_after - now) // _DAY_MS
        event = "a push credential has expired" if state == "EXPIRED" else "a push credential expires soon"
        _log.warning(event, app=one.app_id, kind=one.kind, days=days)


def _forget(app_id: str, kind: str) -> None:
    _expires.labels(app_id, kind).set(_NOBODY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is removed where processes share their figures
        _expires.remove(app_id, kind)
