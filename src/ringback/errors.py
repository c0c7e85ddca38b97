"""Every error that the product raises, one class per thing that the reader can do about it.

RingbackError                         500  something is wrong with the server; the log says what
├── StartRefused                      the process cannot start; the command line prints the sentence and exits 1
├── StoreUnavailable                  503  nothing was stored; try again
├── Conflict                          a versioned write lost the race; the store runs the unit again
├── UniqueViolation                   a row with this key is there already; rooms turn it into an error of theirs
├── SealBroken                        a sealed secret does not open: wrong instance key, or the row was tampered with
├── OpenIdRefused                     private: why an OpenID provider or its token proves nobody; for the log
│
│   what every address may answer
├── InvalidRequest                    400  the request does not have the shape that the endpoint asks for
├── NotAuthenticated                  401  who are you?
│   └── AccessTokenRefused                 an access token in the place of a password
├── NotAllowed                        403  not with this role
├── NotFound                          404  no such address; in the native API, no such thing
├── MethodNotAllowed                  405
├── BodyTooLarge                      413
├── HostUnknown                       421
├── HeadersTooLarge                   431
├── IdempotencyKeyReused              409  the native API: this key came with another request
├── TooManyAttempts                   429  too many wrong passwords; wait a minute
├── TooBusy                           503  more at a time than the server does; try again in a moment
│
│   what lies outside
├── DestinationNotAllowed             400  the server does not call this URL
├── DestinationUnreachable            502  the server called, and got no usable answer
│
│   what a back end is told: 400, but 404 for those that are NotFound
├── apps, access                      InvalidRequest: AppNotFound, AppExists, AppVersionNotFound, AppVersionExists,
│                                     UserNotFound, UserExists, OwnAccountRefused, LastAdministrator,
│                                     PushCredentialNotFound; NotFound: NativePushCredentialNotFound
├── audit                             AuditRangeRefused
├── directory                         NotFound: UserClaimsNotFound, DirectoryUserNotFound; DirectoryUserExists (409)
│   └── SIP                                NotFound: DomainNotFound, SubscriberNotFound, SipCredentialNotFound;
│                                          DomainExists, DomainInUse, SubscriberExists (409)
├── devices                           SignatureHeaderMalformed, TokenHeaderMalformed, OtpMalformed
│   ├── RegistrationRefused                RegistrationNotFound, RegistrationNotAllowed, RegistrationChangeRefused,
│   │                                      ActivationOtpRefused
│   └── recovery codes                     NotFound: RecoveryCodeNotFound; RecoveryCodeChangeRefused (409);
│                                          InvalidRequest: RecoveryDisabled
├── operations                        OperationNotFound, OperationStateChangeRefused, OfflineNotPossible
│   └── templates                          InvalidRequest: TemplateNotFound; TemplateExists (409);
│                                          NotFound: NativeTemplateNotFound, TextsNotFound
├── messages                          PushMessageRefused; NotFound: PushNotFound
│   └── inbox                              InboxRefused: InboxMessageNotFound
├── campaigns                         NotFound: CampaignNotFound; CampaignChangeRefused (409)
├── callbacks                         InvalidRequest: CallbackNotFound; NotFound: NativeCallbackNotFound
├── calls                             NotFound: CallNotFound, WakeupNotFound, PushedCallNotFound
│
└── MobileError                       400  what a phone is told, in the words of the PowerAuth protocol
    ├── AuthenticationFailed          401  SignatureInvalid, SignatureTypeInvalid, MacTokenInvalid, HttpHeaderMissing,
    │                                      RequestInvalid
    ├── /pa/v3                             ActivationInvalid, EncryptionFailed, RecoveryInvalid, TemporaryKeyFailure,
    │                                      VaultRefused, UpgradeRefused, UserInfoRefused
    └── /api                               MobileTokenFailed (401), InvalidMobileRequest, InvalidActivation,
                                           InvalidApplication, InvalidInboxMessage, InvalidOperation,
                                           OperationAlreadyFinished,
                                           OperationAlreadyFailed, OperationAlreadyCanceled, OperationExpired,
                                           OperationRequiresActivationFlag, OperationFailed (401),
                                           PushRegistrationFailed

A class's docstring is its default message, `status` its HTTP status, `code` the word that a program reads. What an
outsider may read is the message; the private reason is chained with `cause` and goes to the log.
"""

from __future__ import annotations

import inspect
from typing import ClassVar

import msgspec


class Violation(msgspec.Struct, frozen=True, rename="camel"):
    """One thing wrong with one field of a request."""

    field_name: str
    invalid_value: str | None
    hint: str


class RingbackError(Exception):
    """Something went wrong inside the server. Try again; if it stays, ask whoever runs it to read the log."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "ERROR_GENERIC"
    retry_after: ClassVar[int | None] = None
    """Seconds, where waiting helps: what the Retry-After header field says."""

    def __init__(
        self,
        message: str | None = None,
        *,
        cause: BaseException | None = None,
        violations: tuple[Violation, ...] = (),
    ) -> None:
        self.message = message or self.default_message()
        self.violations = violations
        super().__init__(self.message)
        if cause is not None:
            self.__cause__ = cause

    @classmethod
    def default_message(cls) -> str:
        """The class's docstring, unfolded to one line."""
        return " ".join((inspect.getdoc(cls) or cls.__name__).split())


class StartRefused(RingbackError):
    """The server cannot start."""


class StoreUnavailable(RingbackError):
    """The database does not answer, so nothing was stored. Try again in a moment."""

    status = 503
    code = "ERROR_UNABLE_TO_CALL_UPSTREAM_SERVICE"
    retry_after = 1


class Conflict(RingbackError):
    """Somebody else changed the same thing at the same time. Try again."""

    status = 503


class UniqueViolation(RingbackError):
    """Something with this name is there already."""

    status = 409


class SealBroken(RingbackError):
    """A sealed secret does not open with this instance key."""

    code = "ERROR_INTERNAL_API"


class InvalidRequest(RingbackError):
    """The request does not have the shape that this address asks for."""

    status = 400
    code = "ERROR_REQUEST"


def invalid_field(field_name: str, hint: str, invalid_value: object = None) -> InvalidRequest:
    """The error for one wrong field; the value is quoted back, shortened."""
    quoted = None if invalid_value is None else str(invalid_value)[:100]
    return InvalidRequest(f"{field_name}: {hint}", violations=(Violation(field_name, quoted, hint),))


class NotAuthenticated(RingbackError):
    """Say who you are: this address needs a user name and a password (HTTP Basic)."""

    status = 401
    code = "HTTP_401"
    challenge: ClassVar[str] = 'Basic realm="Ringback", charset="UTF-8"'

    def __init__(
        self,
        message: str | None = None,
        *,
        cause: BaseException | None = None,
        challenges: tuple[str, ...] = (),
    ) -> None:
        """`challenges`: values of WWW-Authenticate in the place of `challenge`."""
        super().__init__(message, cause=cause)
        self.challenges = challenges


class AccessTokenRefused(NotAuthenticated):
    """The access token is not accepted. Send one of the configured issuer, for our audience, of an enabled user."""

    challenge = 'Bearer realm="Ringback", error="invalid_token"'


class NotAllowed(RingbackError):
    """This user's role does not allow it."""

    status = 403
    code = "HTTP_403"


class NotFound(RingbackError):
    """There is nothing at this address."""

    status = 404
    code = "ERROR_NOT_FOUND"


class MethodNotAllowed(RingbackError):
    """This address does not know this method."""

    status = 405
    code = "ERROR_REQUEST"


class BodyTooLarge(RingbackError):
    """The body is larger than this server accepts."""

    status = 413
    code = "ERROR_REQUEST"


class HeadersTooLarge(RingbackError):
    """The header fields or the address are larger than this server accepts."""

    status = 431
    code = "ERROR_REQUEST"


class TooManyAttempts(RingbackError):
    """There were too many wrong passwords, from your address or for this user. Wait a minute."""

    status = 429
    code = "ERROR_REQUEST"
    retry_after = 60


class TooBusy(RingbackError):
    """The server has more to do than it takes on at a time. Try again in a moment."""

    status = 503
    retry_after = 1


class HostUnknown(RingbackError):
    """This listener does not answer to that Host name; see RINGBACK_INTERNAL_HOSTS."""

    status = 421
    code = "ERROR_REQUEST"


# what lies outside ----------------------------------------------------------------------------------------------------


class DestinationNotAllowed(RingbackError):
    """This destination is not allowed. Use https, a usual port and a public address, or have its network allowed."""

    status = 400
    code = "ERROR_REQUEST"


class DestinationUnreachable(RingbackError):
    """The destination gave no usable answer."""

    status = 502
    code = "ERROR_UNABLE_TO_CALL_UPSTREAM_SERVICE"


class OpenIdRefused(RingbackError):
    """The OpenID provider did not prove who this is."""


# apps and access ------------------------------------------------------------------------------------------------------


class AppNotFound(InvalidRequest):
    """There is no such application, or this user has no access to it."""


class AppExists(InvalidRequest):
    """An application with this id is there already. Choose another id."""


class UserNotFound(InvalidRequest):
    """There is no such system user."""


class UserExists(InvalidRequest):
    """A system user with this name is there already. Choose another name."""


class OwnAccountRefused(InvalidRequest):
    """You cannot disable or delete the user that you are. Ask another administrator."""


class LastAdministrator(InvalidRequest):
    """This is the last enabled administrator. Make another one first: ringback admin create-user NAME --role admin"""


class AppVersionNotFound(InvalidRequest):
    """This application has no version of this name."""


class AppVersionExists(InvalidRequest):
    """This application has a version of this name already. Choose another name."""


class PushCredentialNotFound(InvalidRequest):
    """This application has no push credential of this kind."""


class NativePushCredentialNotFound(NotFound):
    """This application has no push credential of this kind."""


# audit ----------------------------------------------------------------------------------------------------------------


class AuditRangeRefused(RingbackError):
    """timestampFrom is later than timestampTo."""

    status = 400
    code = "ERROR_AUDIT"


# directory ------------------------------------------------------------------------------------------------------------


class UserClaimsNotFound(NotFound):
    """There are no claims of this user."""


class DirectoryUserNotFound(NotFound):
    """The directory has no user with this id."""


class DirectoryUserExists(RingbackError):
    """The directory has a user with this id already. Change that one, or choose another id."""

    status = 409
    code = "ERROR_REQUEST"


class DomainNotFound(NotFound):
    """There is no such domain."""


class DomainExists(RingbackError):
    """This domain is there already. Change that one."""

    status = 409
    code = "ERROR_REQUEST"


class DomainInUse(RingbackError):
    """The domain still has subscribers. Delete them first."""

    status = 409
    code = "ERROR_REQUEST"


class SubscriberNotFound(NotFound):
    """There is no such subscriber."""


class SubscriberExists(RingbackError):
    """This subscriber is there already. Change that one, or choose another name."""

    status = 409
    code = "ERROR_REQUEST"


class SipCredentialNotFound(NotFound):
    """There are no SIP credentials for this subscriber and realm."""


# devices: what a back end is told -------------------------------------------------------------------------------------


class RegistrationRefused(RingbackError):
    """The registration could not be made."""

    status = 400
    code = "ERROR_REGISTRATION"


class RegistrationNotFound(RegistrationRefused):
    """There is no such registration."""

    code = "ERROR_REGISTRATION_NOT_FOUND"


class RegistrationNotAllowed(RegistrationRefused):
    """Another registration of this user is in progress. Finish or delete it first."""

    code = "ERROR_REGISTRATION_NOT_ALLOWED"


class RegistrationChangeRefused(RegistrationRefused):
    """The registration's status does not allow this change."""

    code = "ERROR_REGISTRATION_CHANGE"


class ActivationOtpRefused(RegistrationRefused):
    """The activation OTP is missing or wrong. After the last attempt the registration is removed."""

    code = "ERROR_REGISTRATION_CHANGE"


class RecoveryCodeNotFound(NotFound):
    """There is no such recovery code."""


class RecoveryCodeChangeRefused(RingbackError):
    """The recovery code's status does not allow this change."""

    status = 409
    code = "ERROR_REQUEST"


class RecoveryDisabled(InvalidRequest):
    """Recovery codes are off in this application. Set `recovery` in its configuration first."""


class SignatureHeaderMalformed(RingbackError):
    """authHeader is no PowerAuth authorization header of a supported version. Send the whole value of the SDK."""

    status = 400
    code = "ERROR_SIGNATURE_INVALID"


class TokenHeaderMalformed(RingbackError):
    """authHeader is not a PowerAuth token header of a supported version."""

    status = 400
    code = "ERROR_TOKEN_INVALID"


class OtpMalformed(RingbackError):
    """The OTP is not what a phone shows for an offline signature: two groups of digits, one for each factor."""

    status = 400
    code = "ERROR_OTP_INVALID"


# operations: what a back end is told ----------------------------------------------------------------------------------


class OperationNotFound(RingbackError):
    """There is no such operation."""

    status = 400
    code = "ERROR_OPERATION_NOT_FOUND"


class OperationStateChangeRefused(RingbackError):
    """The operation is no longer pending, so it cannot be changed."""

    status = 400
    code = "ERROR_OPERATION_STATE_CHANGE"


class OfflineNotPossible(RingbackError):
    """This operation cannot be approved offline: it takes no signature of two factors, or its data are no one line."""

    status = 400
    code = "ERROR_REQUEST"


class TemplateNotFound(InvalidRequest):
    """There is no operation template with this name."""


class NativeTemplateNotFound(NotFound):
    """There is no operation template with this name."""


class TextsNotFound(NotFound):
    """There are no texts in this language."""


class IdempotencyKeyReused(RingbackError):
    """This Idempotency-Key came with another request before. Use a new key for a new request."""

    status = 409
    code = "ERROR_REQUEST"


class TemplateExists(RingbackError):
    """An operation template with this name is there already. Use PUT to change it."""

    status = 409
    code = "ERROR_REQUEST"


# messages, inbox and campaigns: what a back end is told ---------------------------------------------------------------


class PushMessageRefused(RingbackError):
    """The message could not be sent."""

    status = 400
    code = "ERROR_PUSH_MESSAGE"


class PushNotFound(NotFound):
    """Nothing is known of such a push, notice or message. They are forgotten after 30 days."""


class InboxRefused(RingbackError):
    """The message could not be put into the inbox."""

    status = 400
    code = "ERROR_INBOX"


class InboxMessageNotFound(InboxRefused):
    """There is no such message in an inbox."""

    code = "ERROR_INBOX_NOT_FOUND"


class CampaignNotFound(NotFound):
    """There is no such campaign."""


class CampaignChangeRefused(RingbackError):
    """The campaign is not in a state in which this can be done."""

    status = 409
    code = "ERROR_REQUEST"


# callbacks: what a back end is told -----------------------------------------------------------------------------------


class CallbackNotFound(InvalidRequest):
    """There is no such callback."""


class NativeCallbackNotFound(NotFound):
    """There is no such callback."""


# calls ----------------------------------------------------------------------------------------------------------------


class CallNotFound(NotFound):
    """There is no such call, or it was more than 30 days ago."""


class WakeupNotFound(NotFound):
    """There is no such wake-up."""


class PushedCallNotFound(NotFound):
    """There is no call for this push id: it is unknown, over, or was sent to somebody else."""


# devices and operations: what a phone is told -------------------------------------------------------------------------


class MobileError(RingbackError):
    """The request was refused."""

    status = 400


class AuthenticationFailed(MobileError):
    """The request could not be authenticated."""

    status = 401
    code = "ERR_AUTHENTICATION"


class SignatureInvalid(AuthenticationFailed):
    """POWER_AUTH_SIGNATURE_INVALID"""


class SignatureTypeInvalid(AuthenticationFailed):
    """POWER_AUTH_SIGNATURE_TYPE_INVALID"""


class MacTokenInvalid(AuthenticationFailed):
    """POWER_AUTH_TOKEN_INVALID"""


class HttpHeaderMissing(AuthenticationFailed):
    """POWER_AUTH_HTTP_HEADER_MISSING"""


class RequestInvalid(AuthenticationFailed):
    """POWER_AUTH_REQUEST_INVALID"""


class ActivationInvalid(MobileError):
    """POWER_AUTH_ACTIVATION_INVALID"""

    code = "ERR_ACTIVATION"


class EncryptionFailed(MobileError):
    """POWER_AUTH_ENCRYPTION_FAILED"""

    code = "ERR_ENCRYPTION"


class RecoveryInvalid(MobileError):
    """POWER_AUTH_RECOVERY_INVALID"""

    code = "ERR_RECOVERY"

    def __init__(self, current_puk_index: int | None = None, *, cause: BaseException | None = None) -> None:
        """`current_puk_index`: which PUK the phone has to ask for, from 1; None when no PUK would help."""
        self.current_puk_index = current_puk_index
        super().__init__(cause=cause)


class TemporaryKeyFailure(MobileError):
    """POWER_AUTH_TEMPORARY_KEY_FAILURE"""

    code = "ERR_TEMPORARY_KEY"


class VaultRefused(MobileError):
    """POWER_AUTH_SECURE_VAULT_INVALID"""

    code = "ERR_SECURE_VAULT"


class UpgradeRefused(MobileError):
    """POWER_AUTH_UPGRADE_FAILED"""

    code = "ERR_UPGRADE"


class UserInfoRefused(MobileError):
    """POWER_AUTH_USER_INFO_ERROR"""

    code = "ERR_USER_INFO"


class MobileTokenFailed(MobileError):
    """The request could not be authenticated."""

    status = 401
    code = "POWERAUTH_AUTH_FAIL"


class InvalidMobileRequest(MobileError):
    """The request does not have the shape that this address asks for."""

    code = "INVALID_REQUEST"


class InvalidActivation(MobileError):
    """This phone's registration is not active. Ask for its status."""

    code = "INVALID_ACTIVATION"


class InvalidApplication(MobileError):
    """This phone may not ask for an activation in that application."""

    code = "INVALID_APPLICATION"


class InvalidInboxMessage(MobileError):
    """There is no such message in this phone's inbox."""

    code = "INVALID_REQUEST"


class InvalidOperation(MobileError):
    """There is no such operation for this phone."""

    code = "INVALID_OPERATION"


class OperationAlreadyFinished(MobileError):
    """The operation was finished already."""

    code = "OPERATION_ALREADY_FINISHED"


class OperationAlreadyFailed(MobileError):
    """The operation has failed already."""

    code = "OPERATION_ALREADY_FAILED"


class OperationAlreadyCanceled(MobileError):
    """The operation was cancelled already."""

    code = "OPERATION_ALREADY_CANCELED"


class OperationExpired(MobileError):
    """The operation has expired."""

    code = "OPERATION_EXPIRED"


class OperationRequiresActivationFlag(MobileError):
    """The operation needs a flag that this phone's registration does not have."""

    code = "OPERATION_REQUIRES_ACTIVATION_FLAG"


class OperationFailed(MobileError):
    """The operation was not approved."""

    status = 401
    code = "OPERATION_FAILED"


class PushRegistrationFailed(MobileError):
    """The push token could not be registered."""

    code = "PUSH_REGISTRATION_FAILED"
