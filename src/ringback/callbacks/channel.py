"""The outbox's channel "callback": one POST of JSON to the callback's URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter

from ringback.callbacks.authentication import headers_of
from ringback.callbacks.model import CHANNEL, SECOND_MS, Callback, backoff_ms
from ringback.errors import DestinationNotAllowed, DestinationUnreachable
from ringback.outbox import Circuit, Delivered, Delivery, GiveUp, Outbox, Result, RetryLater
from ringback.protocols.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from ringback.callbacks.needs import WayOut
    from ringback.callbacks.service import CallbacksService
    from ringback.clock import Clock
    from ringback.store import Store

_log = structlog.get_logger("ringback.callbacks")
_attempts = Counter("ringback_callback_attempts", "Attempts to deliver a callback.", ("outcome",))

PLACES = 8
TIMEOUT_SECONDS = 15
ANSWER_LIMIT_BYTES = 65_536
_SUCCESS = range(200, 300)


class CallbackChannel:
    """Sends deliveries to callbacks. `timeout_seconds`: for one attempt, shorter than the outbox's own."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        callbacks: CallbacksService,
        way_out: WayOut,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._callbacks = callbacks
        self._way_out = way_out
        self._timeout_seconds = timeout_seconds

    def plug_into(self, outbox: Outbox, circuit: Circuit | None = None) -> None:
        """Registers the channel; at start."""
        outbox.register_channel(CHANNEL, self, per_destination=PLACES, circuit=circuit or Circuit())

    async def deliver(self, delivery: Delivery) -> Result:
        """One attempt. Only an answer 2xx counts as delivered; redirects are not followed."""
        known = await self._store.read(self._callbacks.to_deliver, delivery.destination)
        if known is None or not known.callback.enabled:
            return GiveUp("the callback is gone" if known is None else "the callback is disabled")
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": delivery.id,
            **headers_of(known.authentication),
        }
        try:
            answer = await self._way_out.request(
                "POST",
                known.callback.callback_url,
                headers=headers,
                body=delivery.payload.encode(),
                timeout_seconds=self._timeout_seconds,
                limit_bytes=ANSWER_LIMIT_BYTES,
                owner=known.callback.app_id,
            )
        except (DestinationNotAllowed, DestinationUnreachable) as error:
            return self._failed(known.callback, delivery, error.message)
        if answer.status in _SUCCESS:
            _attempts.labels("delivered").inc()
            return Delivered(f"HTTP {answer.status}")
        after = retry_after_seconds(answer.headers.get("retry-after", ""), self._clock.now_ms())
        return self._failed(known.callback, delivery, f"HTTP {answer.status}", after)

    def _failed(self, callback: Callback, delivery: Delivery, reason: str, after: float | None = None) -> RetryLater:
        _attempts.labels("failed").inc()
        is_last = delivery.attempts >= callback.max_attempts
        log = _log.warning if is_last else _log.info
        log(
            "a callback was given up" if is_last else "a callback failed and is tried again",
            callback=callback.id,
            delivery=delivery.id,
            attempt=delivery.attempts,
            reason=reason,
        )
        return RetryLater(
            reason,
            after_seconds=after,
            pause_seconds=backoff_ms(callback.initial_backoff_ms, delivery.attempts) / SECOND_MS,
            most_attempts=callback.max_attempts,
        )
