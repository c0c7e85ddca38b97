"""The fan-out: from a user to the push tokens of their phones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ringback.push import NewPush, Pushes
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.devices import PushTarget
    from ringback.messages.model import Notice


class PushTargets(Protocol):
    """Who knows where phones are reached; the `devices` room does."""

    async def push_targets(
        self, tx: Tx, user_id: str, app_ids: Sequence[str], registration_id: str | None = None
    ) -> list[PushTarget]:
        """The push tokens of the user's ACTIVE registrations in these apps."""
        ...


class MessagesService:
    """Tells users things."""

    def __init__(self, *, devices: PushTargets, pushes: Pushes) -> None:
        self._devices = devices
        self._pushes = pushes

    async def fan_out(self, tx: Tx, notice: Notice) -> list[str]:
        """Writes a push for each push token; returns the push ids. Reads before it writes, so call it before writes."""
        targets = await self._devices.push_targets(tx, notice.user_id, notice.app_ids, notice.registration_id)
        content: dict[str, object] = {
            "userId": notice.user_id,
            "title": notice.title,
            "message": notice.message,
            "sound": notice.sound,
            "extras": notice.extras,
        }
        return [
            await self._pushes.queue(
                tx,
                NewPush(
                    app_id=target.app_id,
                    user_id=notice.user_id,
                    registration_id=target.registration_id,
                    kind=target.kind,
                    push_token=target.push_token,
                    content={**content, "registrationId": target.registration_id},
                    operation_id=notice.operation_id,
                    deadline_ms=notice.deadline_ms,
                ),
            )
            for target in targets
        ]
