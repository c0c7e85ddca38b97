"""The devices room's decisions, behind one door; the modules beside this one hold one idea each."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ringback.attempts import AttemptLimiter
from ringback.devices import queries
from ringback.devices.activation import Activation
from ringback.devices.creation import Creation
from ringback.devices.detail import DetailRequests
from ringback.devices.encryption import Encryption
from ringback.devices.keys import RegistrationKeys
from ringback.devices.labels import Labels
from ringback.devices.lifecycle import Lifecycle
from ringback.devices.looking import ExpiryDue, Looking
from ringback.devices.mac_tokens import MacTokens
from ringback.devices.model import DeviceLimits, MacTokenCheck, MacTokenOutcome, SignatureCheck, SignatureOutcome
from ringback.devices.needs import NobodyIdentified, NoConfiguration, NoUrls
from ringback.devices.offline import OfflineSignatures
from ringback.devices.oidc_configuration import OidcConfiguration
from ringback.devices.otp import ActivationOtps
from ringback.devices.phone import WITH_POSSESSION, PhoneRequests
from ringback.devices.postcards import Postcards
from ringback.devices.push_tokens import PhonePushTokens, checked_push_token
from ringback.devices.recovery import RecoveryCodes
from ringback.devices.recovery_states import RecoveryStates
from ringback.devices.registrations import Registrations
from ringback.devices.signatures import Signatures
from ringback.devices.spawn import Spawn
from ringback.devices.status import PhoneStatus
from ringback.devices.upgrade import UpgradeRequests
from ringback.devices.user_info import UserInfoRequests
from ringback.devices.vault import VaultRequests

if TYPE_CHECKING:
    from ringback.clock import Clock, Randomness
    from ringback.devices.model import PushTarget, Registration
    from ringback.devices.needs import (
        AppAccess,
        AppConfiguration,
        Apps,
        Audit,
        EventSink,
        Identities,
        Providers,
        PushTokenStore,
        Urls,
        UserInfo,
    )
    from ringback.devices.offline import OfflineCheck, OfflinePayload
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
        ReplaceOtp,
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
    because EC operations lie between its reading and its writing. Attributes are for the room's own handlers:
    `looking`, `labels`, `postcards` and `offline` for back ends; `recovery_codes`, `spawn`, `oidc_configuration`,
    `vaults`, `detail`, `user_info` and `upgrade` for phones.
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
        push_tokens: PushTokenStore,
        limits: DeviceLimits | None = None,
        user_info: UserInfo | None = None,
        configuration: AppConfiguration | None = None,
        identities: Identities | None = None,
        providers: Providers | None = None,
        urls: Urls | None = None,
    ) -> None:
        limits = limits or DeviceLimits()
        configuration = configuration or NoConfiguration()
        keys = RegistrationKeys(vault, randomness=randomness)
        recovery_states = RecoveryStates(clock=clock, audit=audit)
        lifecycle = Lifecycle(
            clock=clock, audit=audit, events=events, recovery_codes=recovery_states, push_tokens=push_tokens
        )
        encryption = Encryption(clock=clock, randomness=randomness, vault=vault, apps=apps, keys=keys, limits=limits)
        attempts = AttemptLimiter(clock=clock, per_minute=limits.activation_attempts_per_minute)
        self._clock = clock
        self._access = access
        self._apps = apps
        self._lifecycle = lifecycle
        self._encryption = encryption
        self._signatures = Signatures(clock=clock, apps=apps, keys=keys, lifecycle=lifecycle)
        self.offline = OfflineSignatures(
            clock=clock,
            randomness=randomness,
            apps=apps,
            access=access,
            keys=keys,
            lifecycle=lifecycle,
            signatures=self._signatures,
        )
        self._mac_tokens = MacTokens(
            clock=clock, randomness=randomness, vault=vault, lifecycle=lifecycle, limits=limits
        )
        self._urls = urls or NoUrls()
        self._push_tokens = PhonePushTokens(push_tokens=push_tokens, audit=audit)
        self._status = PhoneStatus(clock=clock, randomness=randomness, keys=keys)
        otps = ActivationOtps(clock=clock, vault=vault, lifecycle=lifecycle)
        creation = Creation(clock=clock, randomness=randomness, lifecycle=lifecycle, limits=limits)
        self.looking = Looking(clock=clock, apps=apps, access=access, lifecycle=lifecycle)
        self.labels = Labels(clock=clock, looking=self.looking, lifecycle=lifecycle)
        self._registrations = Registrations(
            clock=clock,
            apps=apps,
            access=access,
            lifecycle=lifecycle,
            creation=creation,
            otps=otps,
            looking=self.looking,
            delete_any=limits.delete_any_registration,
        )
        self.recovery_codes = RecoveryCodes(
            clock=clock,
            randomness=randomness,
            vault=vault,
            configuration=configuration,
            states=recovery_states,
            signatures=self._signatures,
            encryption=encryption,
            limits=limits,
        )
        self.postcards = Postcards(access=access, codes=self.recovery_codes, states=recovery_states)
        self.user_info = UserInfoRequests(
            clock=clock, randomness=randomness, encryption=encryption, directory=user_info
        )
        self._activation = Activation(
            clock=clock,
            randomness=randomness,
            keys=keys,
            encryption=encryption,
            lifecycle=lifecycle,
            attempts=attempts,
            creation=creation,
            otps=otps,
            recovery_codes=self.recovery_codes,
            identities=identities or NobodyIdentified(),
            user_info=self.user_info,
        )
        self.spawn = Spawn(
            apps=apps,
            configuration=configuration,
            signatures=self._signatures,
            encryption=encryption,
            creation=creation,
            otps=otps,
        )
        self._phone = PhoneRequests(
            signatures=self._signatures, mac_tokens=self._mac_tokens, encryption=encryption, lifecycle=lifecycle
        )
        self.vaults = VaultRequests(
            signatures=self._signatures,
            encryption=encryption,
            keys=keys,
            lifecycle=lifecycle,
            with_biometry=limits.vault_unlock_with_biometry,
        )
        self.detail = DetailRequests(
            clock=clock,
            signatures=self._signatures,
            mac_tokens=self._mac_tokens,
            encryption=encryption,
            lifecycle=lifecycle,
        )
        self.oidc_configuration = OidcConfiguration(encryption=encryption, providers=providers)
        self.upgrade = UpgradeRequests(signatures=self._signatures, encryption=encryption)

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

    async def check_offline_signature(
        self, tx: Tx, check: OfflineCheck, *, only_apps: frozenset[str] | None = None
    ) -> SignatureOutcome:
        """Unit: checks digits that a person typed, with the counter and the failures of `check_signature`."""
        return await self.offline.check(tx, check, only_apps=only_apps)

    def offline_payload(self, registration: Registration, data: str, *, totp: str | None = None) -> OfflinePayload:
        """A QR text for one phone; costs an EC operation, so not inside a unit. Raises RegistrationChangeRefused."""
        return self.offline.payload(registration, data, totp=totp)

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

    async def push_targets(self, tx: Tx, user_id: str) -> list[PushTarget]:
        """Unit: every push token of a user in every app, and the registrations without any; removed ones left out."""
        return await self._push_tokens.targets(tx, user_id)

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
                await store.write(self.looking.expire_due, due.registration_ids)

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
        return await self.looking.list_of_user(tx, principal, user_id, with_removed=with_removed)

    async def registration_detail(self, tx: Tx, principal: Principal, registration_id: str) -> RegistrationDetail:
        """Unit for `look`: one registration. Raises RegistrationNotFound."""
        return await self.looking.detail(tx, principal, registration_id)

    async def commit_registration(
        self, tx: Tx, principal: Principal, registration_id: str, command: CommitRegistration
    ) -> type[RegistrationRefused] | None:
        """Unit: PENDING_COMMIT to ACTIVE. Returns the refusal of a registration that expired just now, or of an OTP.

        Raises RegistrationNotFound, RegistrationChangeRefused.
        """
        return await self._registrations.commit(tx, principal, registration_id, command)

    async def replace_otp(
        self, tx: Tx, principal: Principal, registration_id: str, command: ReplaceOtp
    ) -> type[RegistrationRefused] | None:
        """Unit: another activation OTP for a registration in progress; returns and raises as `commit_registration`."""
        return await self._registrations.replace_otp(tx, principal, registration_id, command)

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

        Raises EncryptionFailed, ActivationInvalid, RecoveryInvalid.
        """
        return await self._activation.create(store, header, body, address)

    async def activation_status(self, tx: Tx, request: StatusObject) -> ActivationStatus:
        """Unit: activation/status; only reads. Random bytes for whoever has no keys. Raises ActivationInvalid."""
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

    def checked_push_token(self, push: PushTokenObject) -> PushTokenObject:
        """What a phone told, checked as far as that needs no database. Raises InvalidRequest."""
        return checked_push_token(push, self._urls)

    async def register_push_token_signed(
        self, tx: Tx, check: SignatureCheck, push: PushTokenObject, language: str | None = None
    ) -> SignatureOutcome:
        """Unit: as `register_push_token`, proved by a signature. Raises SignatureTypeInvalid."""
        outcome = await self._signatures.check(tx, check, allowed_types=WITH_POSSESSION, only_apps=None)
        if outcome.valid:
            await self._register_push_token(tx, outcome, push, language)
        return outcome

    async def register_push_token(
        self, tx: Tx, check: MacTokenCheck, push: PushTokenObject, language: str | None = None
    ) -> MacTokenOutcome:
        """Unit: a phone tells where it is reached. Stored only when the returned check is valid."""
        outcome = await self._mac_tokens.check(tx, check, only_apps=None)
        if outcome.valid:
            await self._register_push_token(tx, outcome, push, language)
        return outcome

    async def _register_push_token(
        self, tx: Tx, owner: MacTokenOutcome | SignatureOutcome, push: PushTokenObject, language: str | None
    ) -> None:
        await self._push_tokens.register(tx, owner, push, language)
