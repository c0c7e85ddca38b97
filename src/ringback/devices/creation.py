"""New registrations, whoever asked for them: a back end, another phone of the user, or somebody outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ringback.clock import new_id
from ringback.devices import queries
from ringback.devices.model import SUITE_P256, Registration
from ringback.protocols.powerauth.activation_code import generate_activation_code

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.lifecycle import Lifecycle
    from ringback.devices.model import DeviceLimits
    from ringback.principal import Principal
    from ringback.store import Tx


class NewRegistration(msgspec.Struct, frozen=True):
    """What a registration starts with. `expires_at`: Unix milliseconds; None = after the usual time."""

    id: str
    app_id: str
    user_id: str
    activation_type: str = "CODE"
    commit_phase: str = "ON_COMMIT"
    otp_fingerprint: bytes | None = None
    flags: tuple[str, ...] = ()
    expires_at: int | None = None


class Creation:
    """Makes registrations."""

    def __init__(self, *, clock: Clock, randomness: Randomness, lifecycle: Lifecycle, limits: DeviceLimits) -> None:
        self._clock = clock
        self._randomness = randomness
        self._lifecycle = lifecycle
        self._limits = limits

    def new_id(self) -> str:
        """An id for a registration."""
        return new_id(self._clock, self._randomness)

    async def insert(self, tx: Tx, principal: Principal, new: NewRegistration) -> Registration:
        """The registration as it is stored: CREATED, with an activation code of its own."""
        now = self._clock.now_ms()
        expires_at = new.expires_at
        made = Registration(
            id=new.id,
            app_id=new.app_id,
            user_id=new.user_id,
            status="CREATED",
            blocked_reason=None,
            protocol_version=None,
            suite=SUITE_P256,
            flags=new.flags,
            name=None,
            platform=None,
            device_info=None,
            extras=None,
            external_id=None,
            external_user_id=None,
            activation_code=generate_activation_code(self._randomness.bytes),
            commit_phase=new.commit_phase,
            device_public_key=None,
            server_public_key=None,
            server_private_key_sealed=None,
            master_secret_sealed=None,
            ctr=0,
            ctr_data=None,
            failed_attempts=0,
            max_failed_attempts=self._limits.max_failed_attempts,
            look_ahead=self._limits.signature_look_ahead,
            created_at=now,
            expires_at=now + self._limits.activation_validity_seconds * 1000 if expires_at is None else expires_at,
            last_used_at=now,
            version=1,
            activation_type=new.activation_type,
            activation_otp_fingerprint=new.otp_fingerprint,
        )
        await tx.run(
            queries.insert_registration,
            made.id,
            made.app_id,
            made.user_id,
            made.suite,
            msgspec.json.encode(made.flags).decode(),
            made.activation_code,
            made.commit_phase,
            made.max_failed_attempts,
            made.look_ahead,
            made.created_at,
            made.expires_at,
            made.activation_type,
            made.activation_otp_fingerprint,
        )
        await self._lifecycle.created(tx, principal, made.id, made.app_id, made.user_id)
        return made
