"""Wakes phones whose bindings end soon, so that they register again (RFC 8599 §5.6.1.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ringback.calls import queries_bindings as queries
from ringback.push import Content, NewPush

if TYPE_CHECKING:
    from ringback.calls.needs_bindings import QueuedPushes, QuietTokens
    from ringback.clock import Clock
    from ringback.store import Tx

LEAD_MS = 120_000
"""So long before the end; of a binding that lives shorter than eight minutes, in the last quarter of its life."""
PURPOSE: Final = "binding_refresh"


class BindingRefresh:
    """One push for each binding and expiry, over the queue: nobody waits for it, and after the expiry it is too late.

    A phone that can only be rung is left alone: iOS shows every push to PushKit as a call.
    """

    def __init__(self, *, clock: Clock, push_tokens: QuietTokens, pushes: QueuedPushes) -> None:
        self._clock = clock
        self._push_tokens = push_tokens
        self._pushes = pushes

    async def wake(self, tx: Tx, limit: int) -> int:
        """Unit for the job: pushes to up to `limit` phones; returns how many bindings were looked at."""
        now = self._clock.now_ms()
        found = await tx.all(queries.refreshable_bindings, now, now + LEAD_MS, limit)
        targets = [(binding, await self._push_tokens.quiet(tx, binding.push_token_id)) for binding in found]
        for binding, target in targets:
            await tx.run(queries.mark_refresh_pushed, binding.id, binding.version, now)
            if target is not None:
                push = NewPush(
                    app_id=target.app_id,
                    user_id=target.user_id,
                    kind=target.kind,
                    content=refresh_content(binding.id),
                    push_token_id=target.id,
                    registration_id=target.registration_id,
                    deadline_ms=binding.expires_at,
                )
                await self._pushes.queue(tx, push)
        return len(found)


def refresh_content(binding_id: str) -> Content:
    """What such a push says: nothing that is shown; a newer one for the same binding takes its place."""
    return Content(
        push_id="",
        purpose=PURPOSE,
        silent=True,
        extras={"type": PURPOSE},
        collapse_id=f"{PURPOSE}-{binding_id}",
    )
