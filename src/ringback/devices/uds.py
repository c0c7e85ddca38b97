"""UDS devices: phones without a registration, whose users say by password where they are reached."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from ringback.errors import NotAuthenticated, NotFound, invalid_field
from ringback.protocols.uds_token import TokenUpdate, UdsTokenError, check_push_token
from ringback.push import KEEP, TokenOwner

if TYPE_CHECKING:
    from ringback.devices.needs import Apps, Audit, PushTokenStore, Users
    from ringback.principal import Principal
    from ringback.protocols.uds_token import Channel
    from ringback.push import PushToken
    from ringback.store import Tx

_KINDS: dict[Channel, tuple[str, str | None]] = {
    "APNS": ("apns-voip", "production"),
    "APNS:dev": ("apns-voip", "development"),
    "FCM": ("fcm", None),
}
"""The guides for apps ask for the token of PushKit, so `APNS` is `apns-voip`."""
_CHANNELS: dict[tuple[str, str | None], Channel] = {stored: channel for channel, stored in _KINDS.items()}
MOST_DEVICES = 50
"""Of one user: each message to the user goes to all of them."""
_PKID = re.compile(r"[\x21-\x7e]{1,128}")
_UUID = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")
_NOTHING_KEPT = (
    "No push token is kept for this device: it was never told, it was deleted, it is another user's now, or its"
    " provider says that it is dead. Send it with PUT."
)


class UdsDevices:
    """Where a user's UDS devices are reached: one push token for each device. Methods are units of work."""

    def __init__(self, *, push_tokens: PushTokenStore, users: Users, apps: Apps, audit: Audit) -> None:
        self._push_tokens = push_tokens
        self._users = users
        self._apps = apps
        self._audit = audit

    async def tell(
        self, tx: Tx, principal: Principal, device_pkid: str, update: TokenUpdate, language: str | None
    ) -> PushToken:
        """Stores what is told of a device; what is not told stays as it is. Moves a push token that was elsewhere.

        Raises NotAuthenticated when the user was disabled meanwhile, InvalidRequest naming the element. UniqueViolation
        when two phones tell the same push token at the same moment: run it again.
        """
        user_id = principal.name
        if not await self._users.is_enabled(tx, user_id):
            raise NotAuthenticated
        before = await self._push_tokens.of_uds_device(tx, user_id, device_pkid)
        if before is None and await self._push_tokens.count_uds_devices(tx, user_id, MOST_DEVICES) >= MOST_DEVICES:
            raise invalid_field("devicePkid", f"A user has at most {MOST_DEVICES} devices. DELETE one that is gone.")
        app_id, channel, push_token = _merged(before, update)
        if not await self._apps.exists(tx, app_id):
            raise invalid_field("application", "There is no such app.", app_id)
        kind, environment = _KINDS[channel]
        told = await self._push_tokens.register(
            tx,
            TokenOwner(app_id, user_id, device_pkid=device_pkid),
            kind,
            push_token,
            environment=environment,
            language=language,
            encryption_key=KEEP if update.key is UNSET else update.key,
        )
        details = {"kind": kind, "environment": environment, "encrypted": told.encryption_key_sealed is not None}
        await self._record(tx, principal, "push_token.register", device_pkid, app_id, details)
        return told

    async def show(self, tx: Tx, principal: Principal, device_pkid: str) -> PushToken:
        """Raises NotFound."""
        found = await self._push_tokens.of_uds_device(tx, principal.name, device_pkid)
        if found is None:
            raise NotFound(_NOTHING_KEPT)
        return found

    async def forget(self, tx: Tx, principal: Principal, device_pkid: str) -> None:
        """The device is not to be reached any more; one that was not is no error."""
        if not await self._users.is_enabled(tx, principal.name):
            raise NotAuthenticated
        before = await self._push_tokens.of_uds_device(tx, principal.name, device_pkid)
        if before is None:
            return
        await self._push_tokens.forget_uds_device(tx, principal.name, device_pkid)
        await self._record(tx, principal, "push_token.remove", device_pkid, before.app_id, {"kind": before.kind})

    async def _record(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        device_pkid: str,
        app_id: str,
        details: dict[str, Any],
    ) -> None:
        await self._audit.record(
            tx,
            principal,
            action,
            subject_kind="uds_device",
            subject_id=device_pkid,
            app_id=app_id,
            user_id=principal.name,
            details=details,
        )


def read_device_pkid(text: str) -> str:
    """The id of a device; a UUID as Unified CM prints it, without braces and in lower case. Raises InvalidRequest."""
    if _PKID.fullmatch(text) is None:
        raise invalid_field("devicePkid", "It has 1 to 128 visible ASCII characters.", text)
    uuid = _UUID.fullmatch(text)
    return text if uuid is None else uuid[1].lower()


def channel_of(push_token: PushToken) -> Channel:
    """What UDS calls the kind and the environment of a device's push token."""
    known = _CHANNELS.get((push_token.kind, push_token.environment))
    return known or ("FCM" if push_token.kind == "fcm" else "APNS")


def _merged(before: PushToken | None, update: TokenUpdate) -> tuple[str, Channel, str]:
    """App, channel and push token after the update. Raises InvalidRequest naming what is missing."""
    app_id, channel, push_token = update.application, update.channel, update.push_token
    if before is not None:
        app_id = before.app_id if app_id is UNSET else app_id
        channel = channel_of(before) if channel is UNSET else channel
        if push_token is UNSET and _KINDS[channel][0] == before.kind:
            push_token = before.push_token
    if app_id is UNSET:
        raise invalid_field("application", "This element is required the first time.")
    if channel is UNSET:
        raise invalid_field("pushChannelType", "This element is required the first time.")
    if push_token is UNSET:
        raise invalid_field("pushNotifyToken", "This element is required the first time, and with another provider.")
    try:
        return app_id, channel, check_push_token(push_token, channel)
    except UdsTokenError as error:
        raise invalid_field(error.field, error.hint) from error
