"""Push tokens: where a provider reaches an app installation, whose it is, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.clock import Clock, Randomness, new_id
from ringback.events import Events, PushTokenDied
from ringback.push import queries_tokens as queries
from ringback.push.model_tokens import KEEP, Keep, PushToken, TokenOwner
from ringback.store import Tx

if TYPE_CHECKING:
    from ringback.secrets import Vault


class PushTokens:
    """Keeps one push token for each registration and kind, for each SIP instance and kind, and for each UDS device.

    All methods with `tx` are part of somebody's unit. A push token belongs to one owner in an app: registered again by
    somebody else, it moves, since the app installation is theirs now. Two that register it at the same moment end in
    UniqueViolation for one of them.
    """

    def __init__(self, *, clock: Clock, randomness: Randomness, vault: Vault, events: Events) -> None:
        self._clock = clock
        self._randomness = randomness
        self._vault = vault
        self._events = events

    async def register(
        self,
        tx: Tx,
        owner: TokenOwner,
        kind: str,
        push_token: str,
        *,
        environment: str | None = None,
        language: str | None = None,
        encryption_key: bytes | Keep | None = KEEP,
    ) -> PushToken:
        """Stores a push token in the place of the one that its owner had; returns it.

        `encryption_key`: 32 bytes, None for no encryption, or KEEP.
        """
        before = await self._of_owner(tx, owner, kind)
        token_id = before.id if before is not None else new_id(self._clock, self._randomness)
        if isinstance(encryption_key, Keep):
            sealed = None if before is None else before.encryption_key_sealed
        else:
            sealed = self._seal(token_id, encryption_key)
        stored = PushToken(
            id=token_id,
            app_id=owner.app_id,
            user_id=owner.user_id,
            registration_id=owner.registration_id,
            device_pkid=owner.device_pkid,
            kind=kind,
            push_token=push_token,
            environment=environment,
            encryption_key_sealed=sealed,
            language=language,
            suspended=False,
            registered_at=self._clock.now_ms(),
            version=1 if before is None else before.version + 1,
            subscriber_id=owner.subscriber_id,
            sip_instance=owner.sip_instance,
        )
        await tx.run(queries.release_push_token, owner.app_id, kind, push_token, token_id)
        await tx.run(queries.save_push_token, *msgspec.structs.astuple(stored))
        return stored

    async def register_for_binding(self, tx: Tx, owner: TokenOwner, kind: str, push_token: str) -> PushToken:
        """Stores a push token that came with a SIP binding (RFC 8599); returns it as it is stored now.

        One that a registration or a UDS device of the same user has told stays theirs: it is the same phone.
        """
        known = await tx.one(queries.push_token_by_value, owner.app_id, kind, push_token)
        same_phone = known is not None and (
            known.subscriber_id is None
            or (known.subscriber_id, known.sip_instance) == (owner.subscriber_id, owner.sip_instance)
        )
        if known is None or known.user_id != owner.user_id or not same_phone:
            return await self.register(tx, owner, kind, push_token)
        told_again = msgspec.structs.replace(known, registered_at=self._clock.now_ms(), version=known.version + 1)
        await tx.run(queries.tell_push_token_again, known.id, push_token, told_again.registered_at)
        return told_again

    async def quiet(self, tx: Tx, push_token_id: str) -> PushToken | None:
        """Where the app of this push token can be woken without ringing; None when it cannot, or not now.

        Never PushKit, whose every push iOS wants to see shown as a call: there the same phone's push token of `apns`.
        """
        found = await tx.one(queries.push_token_by_id, push_token_id)
        if found is not None and found.kind == "apns-voip":
            owner = TokenOwner(
                found.app_id,
                found.user_id,
                found.registration_id,
                found.device_pkid,
                found.subscriber_id,
                found.sip_instance,
            )
            # A UDS device has one push token, of whatever kind.
            found = None if owner.device_pkid is not None else await self._of_owner(tx, owner, "apns")
        return None if found is None or found.suspended else found

    async def of_user(self, tx: Tx, user_id: str) -> list[PushToken]:
        """Every push token of a user, in every app, suspended ones too."""
        return await tx.all(queries.push_tokens_of_user, user_id)

    async def users_reached(self, tx: Tx, app_id: str, after_user_id: str, limit: int) -> list[str]:
        """Up to `limit` users that the app has push tokens of, by id, after `after_user_id`."""
        return [user_id for (user_id,) in await tx.all(queries.users_reached, app_id, after_user_id, limit)]

    async def count_users_reached(self, tx: Tx, app_id: str) -> int:
        """How many users the app has push tokens of; for a unit that only reads: it counts."""
        counted: list[tuple[int]] = await tx.all(queries.count_users_reached, app_id)
        return counted[0][0]

    async def of_uds_device(self, tx: Tx, user_id: str, device_pkid: str) -> PushToken | None:
        """The push token of a UDS device."""
        return await tx.one(queries.push_token_of_uds_device, user_id, device_pkid)

    async def count_uds_devices(self, tx: Tx, user_id: str, most: int) -> int:
        """How many UDS devices a user has; no more than `most` are counted."""
        return await tx.one(queries.count_uds_devices, user_id, most) or 0

    async def forget_uds_device(self, tx: Tx, user_id: str, device_pkid: str) -> None:
        """A UDS device is not to be reached any more."""
        await tx.run(queries.delete_of_uds_device, user_id, device_pkid)

    async def suspend_registration(self, tx: Tx, registration_id: str, *, suspended: bool) -> None:
        """The registration is not ACTIVE, or it is again."""
        await tx.run(queries.suspend_of_registration, registration_id, suspended)

    async def forget_registration(self, tx: Tx, registration_id: str) -> None:
        """The registration is removed: nobody reaches it any more."""
        await tx.run(queries.delete_of_registration, registration_id)

    async def suspend_user(self, tx: Tx, user_id: str, *, suspended: bool) -> None:
        """The user's UDS devices are not to be reached while the user is disabled."""
        await tx.run(queries.suspend_of_user, user_id, suspended)

    async def forget_user(self, tx: Tx, user_id: str) -> None:
        """The user's UDS devices are forgotten with the user."""
        await tx.run(queries.delete_of_user, user_id)

    async def forget_subscriber(self, tx: Tx, subscriber_id: str) -> None:
        """The push tokens that came with a subscriber's bindings are forgotten with the subscriber."""
        await tx.run(queries.delete_of_subscriber, subscriber_id)

    async def give_subscriber(self, tx: Tx, subscriber_id: str, user_id: str) -> None:
        """A subscriber belongs to another user, and with it the push tokens that came with its bindings."""
        await tx.run(queries.give_of_subscriber, subscriber_id, user_id)

    async def died(self, tx: Tx, push_token_id: str, push_token: str, unregistered_at: int | None) -> bool:
        """A provider says that nobody is there; deletes the push token and tells of it; returns whether it did.

        Not when the app has told another one since, or the same one after `unregistered_at`.
        """
        found = await tx.one(queries.push_token_by_id, push_token_id)
        if found is None or found.push_token != push_token:
            return False
        if unregistered_at is not None and found.registered_at > unregistered_at:
            return False
        await tx.run(queries.delete_push_token, found.id, found.version)
        died = PushTokenDied(
            found.id, found.app_id, found.user_id, found.registration_id, found.device_pkid, found.kind
        )
        await self._events.publish(tx, died)
        return True

    async def set_environment(self, tx: Tx, push_token_id: str, push_token: str, environment: str) -> None:
        """A provider took it in another environment than was told."""
        await tx.run(queries.set_environment, push_token_id, push_token, environment)

    def encryption_key(self, token_id: str, sealed: bytes | None) -> bytes | None:
        """The key that pushes to this push token are encrypted with; None when they are not."""
        return None if sealed is None else self._vault.unseal(sealed, _identity(token_id))

    def _seal(self, token_id: str, key: bytes | None) -> bytes | None:
        return None if key is None else self._vault.seal(key, _identity(token_id))

    async def _of_owner(self, tx: Tx, owner: TokenOwner, kind: str) -> PushToken | None:
        if owner.registration_id is not None:
            return await tx.one(queries.push_token_of_registration, owner.registration_id, kind)
        if owner.device_pkid is not None:
            return await tx.one(queries.push_token_of_uds_device, owner.user_id, owner.device_pkid)
        if owner.subscriber_id is None:
            msg = "a push token belongs to a registration, to a UDS device or to a SIP instance of a subscriber"
            raise ValueError(msg)
        if owner.sip_instance is None:
            return None
        return await tx.one(queries.push_token_of_sip_instance, owner.subscriber_id, owner.sip_instance, kind)


def _identity(token_id: str) -> str:
    return f"push_token:{token_id}:encryption_key"
