"""What a back end writes on a registration: its flags and its name. Neither changes what the phone may do by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ringback.devices import queries
from ringback.errors import RegistrationChangeRefused, invalid_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.clock import Clock
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.looking import Looking
    from ringback.devices.model import Registration
    from ringback.devices.schema_looking import ChangeFlags, ChangeName
    from ringback.principal import Principal
    from ringback.store import Tx

How = Literal["add", "replace", "remove"]
MOST_FLAGS = 100
NAMED = frozenset({"PENDING_COMMIT", "ACTIVE", "BLOCKED"})
"""Before the key exchange there is no phone to name: it brings its name with it."""


class Labels:
    """Units of work. Each returns the refusal of a registration that expired just now, instead of raising it."""

    def __init__(self, *, clock: Clock, looking: Looking, lifecycle: Lifecycle) -> None:
        self._clock = clock
        self._looking = looking
        self._lifecycle = lifecycle

    async def change_flags(
        self, tx: Tx, principal: Principal, registration_id: str, how: How, command: ChangeFlags
    ) -> tuple[str, ...] | type[RegistrationChangeRefused]:
        """The flags after adding, replacing or removing. Raises RegistrationNotFound, RegistrationChangeRefused."""
        registration = await self._changeable(tx, principal, registration_id)
        if registration is None:
            return RegistrationChangeRefused
        if registration.status == "REMOVED":
            raise RegistrationChangeRefused("The flags of a removed registration stay as they are.")
        flags = _combined(registration.flags, how, command.flags)
        if len(flags) > MOST_FLAGS:
            raise invalid_field("flags", f"A registration has at most {MOST_FLAGS} flags.")
        if flags != registration.flags:
            encoded = msgspec.json.encode(flags).decode()
            await tx.run(queries.save_flags, registration.id, registration.version, encoded)
            details = {"from": registration.flags, "to": flags}
            await self._record(tx, principal, "registration.flags", registration, details, command.external_user_id)
        return flags

    async def change_name(
        self, tx: Tx, principal: Principal, registration_id: str, command: ChangeName
    ) -> type[RegistrationChangeRefused] | None:
        """Another name of the phone. Raises RegistrationNotFound, RegistrationChangeRefused."""
        registration = await self._changeable(tx, principal, registration_id)
        if registration is None:
            return RegistrationChangeRefused
        if registration.status not in NAMED:
            raise RegistrationChangeRefused(f"A registration in status {registration.status} cannot be named.")
        if command.name != registration.name:
            # A back end that names a phone is not the phone being used.
            saved = (registration.id, registration.version, command.name, registration.last_used_at)
            await tx.run(queries.save_phone_name, *saved)
            details = {"from": registration.name, "to": command.name}
            await self._record(tx, principal, "registration.rename", registration, details, command.external_user_id)
        return None

    async def _changeable(self, tx: Tx, principal: Principal, registration_id: str) -> Registration | None:
        registration = await self._looking.find(tx, principal, registration_id)
        if registration.is_expired(self._clock.now_ms()):
            await self._lifecycle.expire(tx, registration)
            return None
        return registration

    async def _record(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        registration: Registration,
        details: dict[str, Any],
        external_user_id: str | None,
    ) -> None:
        if external_user_id is not None:
            details["externalUserId"] = external_user_id
        await self._lifecycle.record(tx, principal, action, registration, details)


def _combined(flags: tuple[str, ...], how: How, given: Sequence[str]) -> tuple[str, ...]:
    """In the order in which they were added, each once."""
    if how == "remove":
        return tuple(flag for flag in flags if flag not in given)
    return tuple(dict.fromkeys(given if how == "replace" else (*flags, *given)))
