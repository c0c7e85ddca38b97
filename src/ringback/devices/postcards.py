"""What a back end does with recovery codes: print postcards, look, revoke.

Source: PowerAuth specification, "Recovery Postcard". Codes and PUKs are told in the answer; the key agreement with a
printing service that the specification describes is not offered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.devices import queries_recovery as queries
from ringback.devices.schema_recovery import (
    CreatedRecoveryCode,
    CreateRecoveryCode,
    PrintedPuk,
    PukItem,
    RecoveryCodeItem,
)
from ringback.errors import AppNotFound, RecoveryCodeNotFound, RecoveryDisabled
from ringback.protocols.powerauth.recovery_code import build_recovery_qr

if TYPE_CHECKING:
    from ringback.devices.model_recovery import RecoveryCode
    from ringback.devices.needs import AppAccess
    from ringback.devices.recovery import RecoveryCodes
    from ringback.devices.recovery_states import RecoveryStates
    from ringback.principal import Principal
    from ringback.store import Tx

AFTER_ALL_IDS = "g"
"""Ids are hexadecimal."""


class Postcards:
    """Recovery codes as a back end sees them."""

    def __init__(self, *, access: AppAccess, codes: RecoveryCodes, states: RecoveryStates) -> None:
        self._access = access
        self._codes = codes
        self._states = states

    async def create(self, tx: Tx, principal: Principal, command: CreateRecoveryCode) -> CreatedRecoveryCode:
        """Unit: a postcard for a user. Raises AppNotFound, RecoveryDisabled."""
        await self._require_access(tx, principal, command.app_id)
        if not await self._codes.is_enabled(tx, command.app_id):
            raise RecoveryDisabled
        code, new = await self._codes.make(
            tx,
            principal,
            app_id=command.app_id,
            user_id=command.user_id,
            status="CREATED",
            puk_count=command.puk_count,
        )
        return CreatedRecoveryCode(
            recovery_code_id=code.id,
            app_id=code.app_id,
            user_id=code.user_id,
            status=code.status,
            recovery_code=new.recovery_code,
            recovery_qr_code_data=build_recovery_qr(new.recovery_code),
            puks=tuple(PrintedPuk(index, puk) for index, puk in enumerate(new.puks, 1)),
        )

    async def page(
        self, tx: Tx, principal: Principal, app_id: str, user_id: str, before: str, limit: int
    ) -> list[RecoveryCodeItem]:
        """Unit: a user's recovery codes in an app, newest first, from before an id on. Raises AppNotFound."""
        await self._require_access(tx, principal, app_id)
        codes = await tx.all(queries.recovery_codes_of_user, user_id, app_id, before or AFTER_ALL_IDS, limit)
        return [await self._item(tx, code) for code in codes]

    async def detail(self, tx: Tx, principal: Principal, code_id: str) -> RecoveryCodeItem:
        """Unit: one recovery code. Raises RecoveryCodeNotFound."""
        return await self._item(tx, await self._find(tx, principal, code_id))

    async def revoke(self, tx: Tx, principal: Principal, code_id: str) -> None:
        """Unit: the code is good for nothing any more. Raises RecoveryCodeNotFound."""
        code = await self._find(tx, principal, code_id)
        if code.status != "REVOKED":
            await self._states.change(tx, code, "revoke", principal)

    async def _item(self, tx: Tx, code: RecoveryCode) -> RecoveryCodeItem:
        puks = await tx.all(queries.puks_of_code, code.id)
        return RecoveryCodeItem(
            recovery_code_id=code.id,
            app_id=code.app_id,
            user_id=code.user_id,
            status=code.status,
            recovery_code_masked=code.code_masked,
            failed_attempts=code.failed_attempts,
            max_failed_attempts=code.max_failed_attempts,
            timestamp_created=code.created_at,
            timestamp_last_updated=code.updated_at,
            puks=tuple(PukItem(puk.puk_index, puk.status, puk.used_at) for puk in puks),
            registration_id=code.registration_id,
        )

    async def _find(self, tx: Tx, principal: Principal, code_id: str) -> RecoveryCode:
        apps = await self._access.apps_of(tx, principal)
        if "\0" in code_id:
            raise RecoveryCodeNotFound
        code = await tx.one(queries.recovery_code_by_id, code_id)
        if code is None or code.app_id not in apps:
            raise RecoveryCodeNotFound
        return code

    async def _require_access(self, tx: Tx, principal: Principal, app_id: str) -> None:
        if app_id not in await self._access.apps_of(tx, principal):
            raise AppNotFound
