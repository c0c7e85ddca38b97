"""The directory's decisions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.directory import queries
from ringback.directory.model import StoredClaims
from ringback.directory.schema import MAX_CLAIMS_BYTES, MAX_NAME, StandardClaims
from ringback.errors import AppNotFound, UserClaimsNotFound, invalid_field

if TYPE_CHECKING:
    from ringback.audit import AuditLog
    from ringback.clock import Clock
    from ringback.directory.needs import AppAccess
    from ringback.principal import Principal
    from ringback.store import Tx

_FIELD = re.compile(r"`\$\.?(.*)`$")


class DirectoryService:
    """What is known of users. Methods whose first argument is `tx` are units of work."""

    def __init__(self, *, clock: Clock, access: AppAccess, audit: AuditLog) -> None:
        self._clock = clock
        self._access = access
        self._audit = audit

    # for other rooms --------------------------------------------------------------------------------------------------

    async def user_info(self, tx: Tx, app_id: str, user_id: str) -> dict[str, Any] | None:
        """Unit: the claims that the app's back end stored for a user, or None."""
        stored = await tx.one(queries.user_claims, app_id, user_id)
        return None if stored is None else stored.claims

    # for back ends ----------------------------------------------------------------------------------------------------

    async def set_claims(
        self, tx: Tx, principal: Principal, app_id: str, user_id: str, claims: dict[str, Any]
    ) -> StoredClaims:
        """Unit: stores the claims of a user, in place of all earlier ones. Raises AppNotFound.

        `claims` must have passed `check_claims`.
        """
        await self._require_access(tx, principal, app_id)
        now = self._clock.now_ms()
        await tx.run(queries.save_user_claims, app_id, user_id, msgspec.json.encode(claims).decode(), now)
        # The names only: what is said about a person does not belong into the audit log.
        await self._record(tx, principal, "user_claims.set", app_id, user_id, {"names": sorted(claims)})
        return StoredClaims(claims, now, 0)

    async def read_claims(self, tx: Tx, principal: Principal, app_id: str, user_id: str) -> StoredClaims:
        """Unit: the claims of a user. Raises AppNotFound, UserClaimsNotFound."""
        await self._require_access(tx, principal, app_id)
        stored = await tx.one(queries.user_claims, app_id, user_id)
        if stored is None:
            raise UserClaimsNotFound
        return stored

    async def delete_claims(self, tx: Tx, principal: Principal, app_id: str, user_id: str) -> None:
        """Unit: forgets the claims of a user. Raises AppNotFound, UserClaimsNotFound."""
        stored = await self.read_claims(tx, principal, app_id, user_id)
        await tx.run(queries.delete_user_claims, app_id, user_id, stored.version)
        await self._record(tx, principal, "user_claims.delete", app_id, user_id, None)

    async def _require_access(self, tx: Tx, principal: Principal, app_id: str) -> None:
        if app_id not in await self._access.apps_of(tx, principal):
            raise AppNotFound

    async def _record(
        self, tx: Tx, principal: Principal, action: str, app_id: str, user_id: str, details: dict[str, Any] | None
    ) -> None:
        await self._audit.record(
            tx,
            principal,
            action,
            subject_kind="user",
            subject_id=user_id,
            app_id=app_id,
            user_id=user_id,
            details=details,
        )


def check_claims(user_id: str, claims: dict[str, Any]) -> None:
    """Refuses claims that no reader could use. Raises InvalidRequest naming the claim."""
    try:
        standard = msgspec.convert(claims, StandardClaims)
    except msgspec.ValidationError as error:
        hint, _, path = str(error).partition(" - at ")
        field = _FIELD.match(path)
        raise invalid_field(f"claims.{field.group(1)}" if field else "claims", f"{hint}.") from error
    if standard.sub not in (msgspec.UNSET, user_id):
        raise invalid_field("claims.sub", "It must be the userId of the address, or absent.", standard.sub)
    if not all(1 <= len(name) <= MAX_NAME for name in claims):
        raise invalid_field("claims", f"The name of a claim has 1 to {MAX_NAME} characters.")
    if len(msgspec.json.encode(claims)) > MAX_CLAIMS_BYTES:
        raise invalid_field("claims", f"They must not be longer than {MAX_CLAIMS_BYTES} bytes of JSON.")
