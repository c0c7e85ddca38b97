"""Push tokens: where a provider reaches a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.devices import queries
from ringback.principal import device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.clock import Clock
    from ringback.devices.model import MacTokenOutcome, PushTarget, SignatureOutcome
    from ringback.devices.needs import Audit
    from ringback.store import Tx

LOCAL = "local"
PLATFORMS = {
    LOCAL: LOCAL,
    "apns": "apns",
    "fcm": "fcm",
    "hms": "hms",
    "ios": "apns",
    "android": "fcm",
    "huawei": "hms",
}
"""What phones call the providers, now and in older versions, and what we call them."""


class PushTokens:
    """Keeps one push token for each registration and kind."""

    def __init__(self, *, clock: Clock, audit: Audit) -> None:
        self._clock = clock
        self._audit = audit

    async def register(
        self,
        tx: Tx,
        owner: MacTokenOutcome | SignatureOutcome,
        kind: str,
        push_token: str,
        environment: str | None,
    ) -> None:
        """Stores a push token; one that another registration had moves here, since the app now runs as this one.

        The `local` provider reaches a phone by its registration, so there the registration's id is the push token.
        """
        if kind == LOCAL:
            push_token = owner.registration_id
        await tx.run(queries.release_push_token, kind, push_token, owner.registration_id)
        await tx.run(
            queries.save_push_token, owner.registration_id, kind, push_token, environment, self._clock.now_ms()
        )
        await self._audit.record(
            tx,
            device(owner.registration_id),
            "push_token.register",
            subject_kind="registration",
            subject_id=owner.registration_id,
            app_id=owner.app_id,
            user_id=owner.user_id,
            details={"kind": kind, "environment": environment},
        )

    async def targets(
        self, tx: Tx, user_id: str, app_ids: Sequence[str], registration_id: str | None
    ) -> list[PushTarget]:
        """See DevicesService.push_targets."""
        found = await tx.all(queries.push_targets_of_user, user_id)
        wanted = [
            target for target in found if target.app_id in app_ids and registration_id in (None, target.registration_id)
        ]
        # Sorted here: a sorter in the database costs more than the whole look-up.
        return sorted(wanted, key=lambda target: (target.registration_id, target.kind))
