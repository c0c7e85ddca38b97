"""The devices room's decisions, behind one door; the modules beside this one hold one idea each."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ringback.devices import queries
from ringback.devices.activation import Activation
from ringback.devices.attempts import AttemptLimiter
from ringback.devices.encryption import Encryption
from ringback.devices.keys import RegistrationKeys
from ringback.devices.lifecycle import Lifecycle
from ringback.devices.mac_tokens import MacTokens
from ringback.devices.model import DeviceLimits, MacTokenCheck, MacTokenOutcome, SignatureCheck, SignatureOutcome
from ringback.devices.phone import PhoneRequests
from ringback.devices.push_tokens import PLATFORMS, PushTokens
from ringback.devices.registrations import ExpiryDue, Registrations
from ringback.devices.signatures import Signatures
from ringback.devices.status import PhoneStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.clock import Clock, Randomness
    from ringback.devices.model import PushTarget, Registration
    from ringback.devices.needs import AppAccess, Apps, Audit, EventSink
    from ringback.devices.schema import (
        ActivationStatus,
        ChangeRegistration,
        CommitRegistration,
        CreatedRegistration,
        CreateRegistration,
        DeleteRegistration,
        PushTokenObject,
        RegistrationDetail,
        RegistrationItem,
        StatusObject,
    )
    from ringback.errors import RegistrationRefused
    from ringback.principal import Principal
    from ringback.protocols.powerauth.ecies import EciesResponse
    from ringback.protocols.powerauth.headers import EncryptionHeader, SignatureHeader
    from ringback.secrets import Vault
    from ringback.store import Store, Tx, Unit

T = TypeVar("T")


class DevicesService:
    """Registrations, signature checks, MAC tokens, push tokens.

    A method whose first argument is `tx` is a unit of work. One whose first argument is `store` runs units itself,
    because EC operations lie between its reading and its writing.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        vault: Vault,
        apps: Apps,
        access: AppAccess,
        audit: Audit,
        events: EventSink,
        limits: DeviceLimits | None = None,
    ) -> None:
        limits = limits or DeviceLimits()
        keys = RegistrationKeys(vault)
        lifecycle = Lifecycle(clock=clock, audit=audit, events=events)
        encryption = Encryption(clock=clock, randomness=randomness, vault=vault, apps=apps, keys=keys, limits=limits)
        attempts = AttemptLimiter(clock=clock, per_minute=limits.activation_attempts_per_minute)
        self._clock = clock
        self._access = access
        self._apps = apps
        self._lifecycle = lifecycle
        self._encryption = encryption
        self._signatures = Signatures(clock=clock, apps=apps, keys=keys, lifecycle=lifecycle)
        self._mac_tokens = MacTokens(
            clock=clock, randomness=randomness, vault=vault, lifecycle=lifecycle, limits=limits
        )
        self._push_tokens = PushTokens(clock=clock, audit=audit)
        self._status = PhoneStatus(clock=clock, randomness=randomness, keys=keys)
        self._registrations = Registrations(
            clock=clock, randomness=randomness, apps=apps, access=access, lifecycle=lifecycle, limits=limits
        )
        self._activation = Activation(
            clock=clock,
            randomness=randomness,
            keys=keys,
            encryption=encryption,
            lifecycle=lifecycle,
            attempts=attempts,
        )
        self._phone = PhoneRequests(
            signatures=self._signatures, mac_tokens=self._mac_tokens, encryption=encryption, lifecycle=lifecycle
        )

    # for other rooms --------------------------------------------------------------------------------------------------

    async def check_signature(
        self,
        tx: Tx,
        check: SignatureCheck,
        *,
        allowed_types: frozenset[str] | None = None,
        only_apps: frozenset[str] | None = None,
    ) -> SignatureOutcome:
        """Unit: checks a signature, counts a failure, moves the counter, writes the audit row.

        `allowed_types`: signature types that this request takes, else SignatureTypeInvalid is raised and nothing is
        counted; None takes every type there is. `only_apps`: a registration of another app is answered as an unknown
        one, and nothing is counted.
        """
        return await self._signatures.check(tx, check, allowed_types=allowed_types, only_apps=only_apps)

    async def check_mac_token(
        self, tx: Tx, check: MacTokenCheck, *, only_apps: frozenset[str] | None = None
    ) -> MacTokenOutcome:
        """Unit: checks a MAC token header; a valid one is remembered, so that it is valid once."""
        return await self._mac_tokens.check(tx, check, only_apps=only_apps)

    async def registration(self, tx: Tx, registration_id: str) -> Registration | None:
        """Unit: one registration as the database has it; None when it is unknown."""
        if "\0" in registration_id:
            return None
        return await tx.one(queries.registration_by_id, registration_id)

    async def is_active(self, tx: Tx, registration_id: str) -> bool:
        """Unit: whether the registration is ACTIVE."""
        registration = await self.registration(tx, registration_id)
        return registration is not None and registration.status == "ACTIVE"

    async def push_targets(
        self, tx: Tx, user_id: str, app_ids: Sequence[str], registration_id: str | None = None
    ) -> list[PushTarget]:
        """Unit: where this user's ACTIVE registrations in these apps are reached; one of them when named."""
        return await self._push_tokens.targets(tx, user_id, app_ids, registration_id)

    async def expire_registrations(self, tx: Tx, limit: int) -> int:
        """Unit for the job: removes up to `limit` registrations whose time is over; returns how many."""
        return await self._lifecycle.expire_registrations(tx, limit)

    async def purge(self, tx: Tx, limit: int) -> int:
        """Unit for the job: forgets up to `limit` temporary keys, and replay values, whose time is over."""
        return await self._encryption.purge(tx, limit)

    async def look(self, store: Store, unit: Unit[T], *args: object) -> T:
        """Runs a reading unit of this service; a registration that it meets after its time is removed first."""
        while True:
            try:
                return await store.read(unit, *args)
            except ExpiryDue as due:
                await store.write(self._registrations.expire_due, due.registration_ids)

    # for back ends ----------------------------------------------------------------------------------------------------

    async def create_registration(
        self, tx: Tx, principal: Principal, command: CreateRegistration
    ) -> CreatedRegistration:
        """Unit: a registration that waits for its phone, and its code. Raises AppNotFound, InvalidRequest."""
        return await self._registrations.create(tx, principal, command, only_one=False)

    async def create_only_registration(
        self, tx: Tx, principal: Principal, command: CreateRegistration
    ) -> CreatedRegistration:
        """Unit: the same, and RegistrationNotAllowed when the user has one in progress in this app."""
        return await self._registrations.create(tx, principal, command, only_one=True)

    async def list_registrations(
        self,
        tx: Tx,
        principal: Principal,
        user_id: str,
        with_removed: bool = False,  # noqa: FBT001, FBT002 - units take their arguments by position
    ) -> list[RegistrationItem]:
        """Unit for `look`: a user's registrations in the principal's apps."""
        return await self._registrations.list_of_user(tx, principal, user_id, with_removed=with_removed)

    async def registration_detail(self, tx: Tx, principal: Principal, registration_id: str) -> RegistrationDetail:
        """Unit for `look`: one registration. Raises RegistrationNotFound."""
        return await self._registrations.detail(tx, principal, registration_id)

    async def commit_registration(
        self, tx: Tx, principal: Principal, registration_id: str, command: CommitRegistration
    ) -> type[RegistrationRefused] | None:
        """Unit: PENDING_COMMIT to ACTIVE. Returns the refusal of a registration that expired just now.

        Raises RegistrationNotFound, RegistrationChangeRefused.
        """
        return await self._registrations.commit(tx, principal, registration_id, command)

    async def change_registration(
        self, tx: Tx, principal: Principal, registration_id: str, command: ChangeRegistration
    ) -> type[RegistrationRefused] | None:
        """Unit: blocks, unblocks or removes; returns and raises as `commit_registration`."""
        return await self._registrations.update(tx, principal, registration_id, command)

    async def cancel_registration(
        self, tx: Tx, principal: Principal, registration_id: str, command: DeleteRegistration
    ) -> type[RegistrationRefused] | None:
        """Unit: removes one that was not committed yet; returns and raises as `commit_registration`."""
        return await self._registrations.cancel(tx, principal, registration_id, command)

    async def verify_signature(self, tx: Tx, principal: Principal, check: SignatureCheck) -> SignatureOutcome:
        """Unit: a signature that a back end received; phones of other apps are unknown to it."""
        only_apps = await self._access.apps_of(tx, principal)
        return await self._signatures.check(tx, check, allowed_types=None, only_apps=only_apps)

    async def verify_mac_token(self, tx: Tx, principal: Principal, check: MacTokenCheck) -> MacTokenOutcome:
        """Unit: a MAC token header that a back end received; phones of other apps are unknown to it."""
        return await self._mac_tokens.check(tx, check, only_apps=await self._access.apps_of(tx, principal))

    async def app_roles(self, tx: Tx, app_id: str) -> tuple[str, ...]:
        """Unit: the roles of an app, as its back end named them."""
        return await self._apps.roles_of(tx, app_id)

    # for phones -------------------------------------------------------------------------------------------------------

    def server_time(self) -> int:
        """status: Unix milliseconds, by which phones set their clocks."""
        return self._clock.now_ms()

    async def create_temporary_key(self, store: Store, jwt: str) -> str:
        """keystore/create: the server's JWT for the phone's. Raises TemporaryKeyFailure."""
        return await self._encryption.create_temporary_key(store, jwt)

    async def create_activation(
        self, store: Store, header: EncryptionHeader, body: bytes, address: str
    ) -> EciesResponse:
        """activation/create: the key exchange. `address` is limited in wrong codes a minute.

        Raises EncryptionFailed, ActivationInvalid.
        """
        return await self._activation.create(store, header, body, address)

    async def activation_status(self, tx: Tx, request: StatusObject) -> ActivationStatus:
        """Unit for `look`: activation/status. Random bytes for whoever has no keys. Raises ActivationInvalid."""
        return await self._status.encrypted(tx, request)

    async def validate_signature(self, tx: Tx, check: SignatureCheck) -> SignatureOutcome:
        """Unit: signature/validate. Raises SignatureTypeInvalid."""
        return await self._phone.validate(tx, check)

    async def remove_activation(self, tx: Tx, header: SignatureHeader, body: bytes) -> SignatureOutcome:
        """Unit: activation/remove. Raises SignatureTypeInvalid."""
        return await self._phone.remove(tx, header, body)

    async def create_mac_token(self, store: Store, header: SignatureHeader, body: bytes) -> EciesResponse:
        """token/create. Raises SignatureInvalid, SignatureTypeInvalid, EncryptionFailed."""
        return await self._phone.create_mac_token(store, header, body)

    async def remove_mac_token(self, tx: Tx, header: SignatureHeader, body: bytes, token_id: str) -> SignatureOutcome:
        """Unit: token/remove. Raises SignatureTypeInvalid."""
        return await self._phone.remove_mac_token(tx, header, body, token_id)

    async def register_push_token(self, tx: Tx, check: MacTokenCheck, push: PushTokenObject) -> MacTokenOutcome:
        """Unit: a phone tells where it is reached. Stored only when the returned check is valid."""
        outcome = await self._mac_tokens.check(tx, check, only_apps=None)
        if outcome.valid:
            await self._push_tokens.register(tx, outcome, PLATFORMS[push.platform], push.token, push.environment)
        return outcome
