"""What a back end sees of registrations: one, a user's, or page by page all of an app's."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ringback.devices import queries, queries_looking
from ringback.devices.schema import RegistrationDetail, RegistrationItem
from ringback.devices.schema_looking import RegistrationSummary
from ringback.errors import AppNotFound, RegistrationNotFound, invalid_field
from ringback.protocols.powerauth.activation_code import build_qr, sign_activation_code
from ringback.protocols.powerauth.fingerprint import activation_fingerprint
from ringback.protocols.powerauth.keys import public_key_from_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.clock import Clock
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.model import Registration
    from ringback.devices.needs import AppAccess, Apps
    from ringback.devices.queries_looking import ListedRegistration
    from ringback.principal import Principal
    from ringback.protocols.powerauth.keys import PrivateKey
    from ringback.store import Query, Tx

WHOLE_LIST = 1000
"""So many registrations has a list that was asked for without pages."""

WALKED_AT_MOST = 1000
"""So many registrations are looked at for one page of the native list, however few of them have the status."""

_TIME_OF_ID = 24
_NO_NODE = "0" * 12
"""Ids end with as many random digits."""

_encode = msgspec.json.Encoder().encode


class ExpiryDue(Exception):
    """A reading unit met registrations whose time is over; they must be removed before it can answer."""

    def __init__(self, registration_ids: list[str]) -> None:
        super().__init__(registration_ids)
        self.registration_ids = registration_ids


class Page(msgspec.Struct, frozen=True):
    """A page of a user's registrations."""

    skipped: int
    limit: int


class Selection(msgspec.Struct, frozen=True):
    """Which registrations the native list is asked for; `user_id` or `app_id` is given. `after`: an id, or empty."""

    user_id: str | None
    app_id: str | None
    status: str = ""
    after: str = ""


class _Expiring(Protocol):
    """A registration, as much of it as was read."""

    @property
    def id(self) -> str: ...

    def is_expired(self, now_ms: int) -> bool: ...


class Looking:
    """Units of work that only read, for `DevicesService.look`."""

    def __init__(self, *, clock: Clock, apps: Apps, access: AppAccess, lifecycle: Lifecycle) -> None:
        self._clock = clock
        self._apps = apps
        self._access = access
        self._lifecycle = lifecycle

    async def list_of_user(
        self, tx: Tx, principal: Principal, user_id: str, *, with_removed: bool
    ) -> list[RegistrationItem]:
        """A user's registrations in the principal's apps, oldest first; with removed ones, the newest of them."""
        if with_removed:
            found = await self._of_user(tx, queries_looking.newest_ids_of_user, principal, user_id, Page(0, WHOLE_LIST))
        else:
            found = await self._of_user(
                tx, queries_looking.present_ids_of_user, principal, user_id, Page(0, WHOLE_LIST)
            )
        return [RegistrationItem(**_item(registration)) for registration in found]

    async def page_of_user(
        self,
        tx: Tx,
        principal: Principal,
        user_id: str,
        with_removed: bool,  # noqa: FBT001 - units take their arguments by position
        page: Page,
    ) -> list[RegistrationItem]:
        """One page of them, oldest first."""
        query = queries_looking.all_ids_of_user if with_removed else queries_looking.present_ids_of_user
        found = await self._of_user(tx, query, principal, user_id, page)
        return [RegistrationItem(**_item(registration)) for registration in found]

    async def _of_user(
        self, tx: Tx, query: Query[str], principal: Principal, user_id: str, page: Page
    ) -> list[ListedRegistration]:
        apps = await self._access.apps_of(tx, principal)
        ids = await tx.all(query, user_id, _json(apps), page.limit, page.skipped)
        if not ids:
            return []
        found = await tx.all(queries_looking.registrations_by_id, _json(ids))
        self._demand_expiry(found)
        return sorted(found, key=lambda registration: registration.id)

    async def walk(
        self, tx: Tx, principal: Principal, selection: Selection, limit: int
    ) -> tuple[list[RegistrationSummary], str | None]:
        """Registrations after `selection.after`, oldest first, and after which id to go on; None at the end.

        There may be fewer than `limit`, or none, and yet more to come: only WALKED_AT_MOST are looked at in one go.
        Raises AppNotFound, InvalidRequest.
        """
        apps = await self._access.apps_of(tx, principal)
        if selection.app_id is not None:
            if selection.app_id not in apps:
                raise AppNotFound
            apps = frozenset({selection.app_id})
        if selection.user_id is not None:
            key, window, inside = (
                selection.user_id,
                queries_looking.window_of_user,
                queries_looking.registrations_of_user_between,
            )
        elif selection.app_id is not None:
            key, window, inside = (
                selection.app_id,
                queries_looking.window_of_app,
                queries_looking.registrations_of_app_between,
            )
        else:
            raise invalid_field("userId", "Say whose registrations you want: userId or appId.")
        walked = await tx.one(window, key, selection.after, WALKED_AT_MOST)
        if walked is None or walked[0] is None:
            return [], None
        last, count = walked
        found = await tx.all(inside, key, selection.after, last, _json(apps), selection.status, limit + 1)
        self._demand_expiry(found)
        shown = [RegistrationSummary(**_item(one), user_id=one.user_id) for one in found[:limit]]
        if len(found) > limit:
            return shown, shown[-1].registration_id
        if count < WALKED_AT_MOST:
            return shown, None
        # The last one may be of an app that the principal must not know: then only the time in its id is told.
        return shown, last if any(one.id == last for one in found) else last[:_TIME_OF_ID] + _NO_NODE

    async def detail(self, tx: Tx, principal: Principal, registration_id: str) -> RegistrationDetail:
        """One registration. Raises RegistrationNotFound."""
        registration = await self.find(tx, principal, registration_id)
        self._demand_expiry([registration])
        shown = RegistrationDetail(
            **_item(registration),
            user_id=registration.user_id,
            failed_attempts=registration.failed_attempts,
            max_failed_attempts=registration.max_failed_attempts,
        )
        if registration.status == "CREATED":
            code = registration.activation_code
            signature, qr = signed_code(await self._apps.master_private_key(tx, registration.app_id), code)
            return msgspec.structs.replace(
                shown, activation_code=code, activation_code_signature=signature, activation_qr_code_data=qr
            )
        if registration.status == "PENDING_COMMIT":
            return msgspec.structs.replace(shown, activation_fingerprint=_fingerprint(registration))
        return shown

    async def find(self, tx: Tx, principal: Principal, registration_id: str) -> Registration:
        """The registration, if the principal may know about it. Raises RegistrationNotFound."""
        apps = await self._access.apps_of(tx, principal)
        if "\0" in registration_id:
            raise RegistrationNotFound
        registration = await tx.one(queries.registration_by_id, registration_id)
        if registration is None or registration.app_id not in apps:
            raise RegistrationNotFound
        return registration

    def _demand_expiry(self, registrations: Iterable[_Expiring]) -> None:
        now = self._clock.now_ms()
        overdue = [registration.id for registration in registrations if registration.is_expired(now)]
        if overdue:
            raise ExpiryDue(overdue)

    async def expire_due(self, tx: Tx, registration_ids: list[str]) -> None:
        """Unit: removes those of these registrations whose time is over."""
        now = self._clock.now_ms()
        for registration_id in registration_ids:
            registration = await tx.one(queries.registration_by_id, registration_id)
            if registration is not None and registration.is_expired(now):
                await self._lifecycle.expire(tx, registration)


def signed_code(master_key: PrivateKey, code: str) -> tuple[str, str]:
    """Signature of an activation code in Base64, and the text of its QR code."""
    signature = sign_activation_code(master_key, code)
    return base64.b64encode(signature).decode("ascii"), build_qr(code, signature)


def _fingerprint(registration: Registration) -> str | None:
    if registration.device_public_key is None or registration.server_public_key is None:
        return None
    device_public = public_key_from_bytes(registration.device_public_key)
    return activation_fingerprint(device_public, registration.id, public_key_from_bytes(registration.server_public_key))


def _json(values: Iterable[str]) -> str:
    return _encode(list(values)).decode()


def _item(registration: Registration | ListedRegistration) -> dict[str, Any]:
    return {
        "registration_id": registration.id,
        "registration_status": registration.status,
        "application_id": registration.app_id,
        "flags": registration.flags,
        "timestamp_created": registration.created_at,
        "timestamp_last_used": registration.last_used_at,
        "blocked_reason": registration.blocked_reason,
        "name": registration.name,
        "platform": registration.platform,
        "device_info": registration.device_info,
    }
