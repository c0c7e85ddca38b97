"""Push tokens: where a provider reaches a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from ringback.devices import queries
from ringback.errors import DestinationNotAllowed, UniqueViolation, invalid_field
from ringback.languages import preferred_languages
from ringback.principal import device
from ringback.protocols.push_token_forms import (
    APNS_HINT,
    FCM_HINT,
    apns_push_token,
    encryption_key,
    is_fcm_push_token,
    is_plain,
)
from ringback.protocols.web_push import SubscriptionInvalid, parse_subscription
from ringback.push import KEEP, TokenOwner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringback.devices.model import MacTokenOutcome, PushTarget, SignatureOutcome
    from ringback.devices.needs import Audit, PushTokenStore, Urls
    from ringback.devices.schema import PushTokenObject
    from ringback.push import Keep
    from ringback.store import Store, Tx, Unit

T = TypeVar("T")

ATTEMPTS = 4
LOCAL = "local"
WEB_PUSH = "webpush"
PLATFORMS = {
    LOCAL: LOCAL,
    WEB_PUSH: WEB_PUSH,
    "apns": "apns",
    "apns-voip": "apns-voip",
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
        told: PushTokenObject,
        language: str | None,
    ) -> None:
        """Stores a push token; one that another registration had moves here, since the app now runs as this one.

        The `local` provider reaches a phone by its registration, so there the registration's id is the push token.
        """
        kind = PLATFORMS[told.platform]
        assert owner.app_id is not None  # a proved phone has both
        assert owner.user_id is not None
        stored = await self._push_tokens.register(
            tx,
            TokenOwner(owner.app_id, owner.user_id, registration_id=owner.registration_id),
            kind,
            owner.registration_id if kind == LOCAL else told.token,
            environment=told.environment,
            language=language,
            encryption_key=_key(told),
        )
        await self._audit.record(
            tx,
            device(owner.registration_id),
            "push_token.register",
            subject_kind="registration",
            subject_id=owner.registration_id,
            app_id=owner.app_id,
            user_id=owner.user_id,
            details={
                "kind": kind,
                "environment": told.environment,
                "encrypted": stored.encryption_key_sealed is not None,
            },
        )

    async def targets(self, tx: Tx, user_id: str) -> list[PushTarget]:
        """See DevicesService.push_targets."""
        found = await tx.all(queries.push_targets_of_user, user_id)
        # Sorted here: a sorter in the database costs more than the whole look-up.
        return sorted(found, key=lambda one: (one.registration_id or "", one.device_pkid or "", one.kind or ""))


async def write_again(store: Store, unit: Unit[T], *args: object) -> T:
    """`store.write` for a unit that stores a push token.

    Of two phones that tell the same one at the same moment one comes too late: it is moved to that one. Raises
    UniqueViolation when it came too late again and again.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await store.write(unit, *args)
        except UniqueViolation:
            continue
    return await store.write(unit, *args)


def told_language(headers: Mapping[str, str]) -> str | None:
    """The language that a phone prefers, without its region; None where it does not say."""
    accepted = headers.get("accept-language")
    return preferred_languages(accepted)[0] if accepted else None


def checked_push_token(told: PushTokenObject, urls: Urls) -> PushTokenObject:
    """The push token in the form in which it is stored, its key looked at. Raises InvalidRequest.

    Costs an EC operation for Web Push.
    """
    match PLATFORMS[told.platform]:
        case "webpush":
            stored = _subscription(told.token, urls)
        case "apns" | "apns-voip":
            # The documentation of the mobile API shows one of iOS written as a UUID.
            # A made-up one is taken as it is, since people's own tests tell such: APNs says what it is worth.
            number = apns_push_token(told.token.replace("-", ""))
            if number is None and not is_plain(told.token):
                raise invalid_field("requestObject.token", f"Send the push token of APNs {APNS_HINT}.")
            stored = number or told.token
        case "fcm" | "hms" if not is_fcm_push_token(told.token):
            raise invalid_field("requestObject.token", FCM_HINT)
        case _:
            stored = told.token
    try:
        key = _key(told)
    except ValueError as error:
        raise invalid_field("requestObject.encryptionKey", str(error)) from error
    if isinstance(key, bytes) and told.platform == LOCAL:
        hint = "No provider carries these pushes: they come by the phone's own connection and are not encrypted again."
        raise invalid_field("requestObject.encryptionKey", hint)
    return msgspec.structs.replace(told, token=stored)


def _key(told: PushTokenObject) -> bytes | Keep | None:
    """As PushTokenStore has it. Raises ValueError."""
    if told.encryption_key is None:
        return KEEP
    return encryption_key(told.encryption_key) if told.encryption_key else None


def _subscription(text: str, urls: Urls) -> str:
    """The canonical subscription. Raises InvalidRequest: its endpoint must be one that the server may call."""
    try:
        subscription = parse_subscription(text)
        urls.check_url(subscription.endpoint)
    except SubscriptionInvalid as error:
        field = f"requestObject.token.{error.field}" if error.field else "requestObject.token"
        raise invalid_field(field, str(error)) from error
    except DestinationNotAllowed as error:
        raise invalid_field("requestObject.token.endpoint", error.message) from error
    return subscription.text()
