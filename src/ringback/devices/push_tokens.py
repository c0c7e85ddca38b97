"""Push tokens: where a provider reaches a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.devices import queries
from ringback.principal import device
from ringback.push import TokenOwner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.devices.model import MacTokenOutcome, PushTarget, SignatureOutcome
    from ringback.devices.needs import Audit, PushTokenStore
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


class PhonePushTokens:
    """What phones tell of their push tokens: one for each registration and kind."""

    def __init__(self, *, push_tokens: PushTokenStore, audit: Audit) -> None:
        self._push_tokens = push_tokens
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
        assert owner.app_id is not None and owner.user_id is not None  # a proved phone has both
        token_owner = TokenOwner(owner.app_id, owner.user_id, registration_id=owner.registration_id)
        await self._push_tokens.register(tx, token_owner, kind, push_token, environment=environment)
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
