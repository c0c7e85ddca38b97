"""What happens when a provider says that a push token is dead: the audit log says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.events import Event, PushTokenDied
from ringback.principal import job

if TYPE_CHECKING:
    from ringback.devices.needs import Audit
    from ringback.store import Tx

FEEDBACK = job("push_feedback")


class DeadPushTokens:
    """Hears of dead push tokens. The app is not told: it registers its push token whenever it starts."""

    def __init__(self, *, audit: Audit) -> None:
        self._audit = audit

    async def hear(self, tx: Tx, event: Event) -> None:
        """One audit row, in the unit that forgot the push token."""
        if isinstance(event, PushTokenDied):
            of_registration = event.registration_id is not None
            await self._audit.record(
                tx,
                FEEDBACK,
                "push_token.died",
                subject_kind="registration" if of_registration else "uds_device",
                subject_id=event.registration_id or event.device_pkid or "",
                app_id=event.app_id,
                user_id=event.user_id,
                details={"kind": event.kind},
            )
