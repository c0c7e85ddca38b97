"""Every error that the product raises, one class per thing that the reader can do about it.

RingbackError
├── StartRefused                      the process cannot start; the command line prints the sentence and exits 1
├── StoreUnavailable                  503  nothing was stored; try again
├── Conflict                          a versioned write lost the race; the store runs the unit again
├── UniqueViolation                   a row with this key is there already; rooms turn it into an error of theirs
├── SealBroken                        a sealed secret does not open: wrong instance key, or the row was tampered with
├── InvalidRequest                    400  the request does not have the shape that the endpoint asks for
├── NotAuthenticated                  401  who are you?
├── NotAllowed                        403  not with this role
├── NotFound                          404  no such address
├── MethodNotAllowed                  405
├── BodyTooLarge                      413
├── HostUnknown                       421
├── HeadersTooLarge                   431
├── IdempotencyKeyReused              409  the native API: this key came with another request
├── AppNotFound, AppExists, UserNotFound, UserExists   apps and access
├── RegistrationRefused ─ RegistrationNotFound, RegistrationNotAllowed, RegistrationChangeRefused
├── OperationNotFound, OperationStateChangeRefused, TemplateNotFound, TemplateExists
├── SignatureHeaderMalformed, TokenHeaderMalformed                            back-end checks
└── MobileError                       what a phone is told, in the words of the PowerAuth protocol
    ├── AuthenticationFailed ─ SignatureInvalid, SignatureTypeInvalid, MacTokenInvalid, HttpHeaderMissing,
    │   RequestInvalid
    ├── ActivationInvalid, EncryptionFailed, TemporaryKeyFailure              400
    └── MobileTokenFailed, InvalidMobileRequest, InvalidOperation,
        OperationAlreadyFinished, OperationAlreadyFailed, OperationAlreadyCanceled, OperationExpired,
        OperationRequiresActivationFlag, OperationFailed, PushRegistrationFailed

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


class Conflict(RingbackError):
    """Somebody else changed the same thing at the same time. Try again."""

    status = 503


class UniqueViolation(RingbackError):
    """Something with this name is there already."""

    status = 409


class SealBroken(RingbackError):
    """A sealed secret does not open with this instance key."""


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


class HostUnknown(RingbackError):
    """This listener does not answer to that Host name; see RINGBACK_INTERNAL_HOSTS."""

    status = 421
    code = "ERROR_REQUEST"


# apps and access ------------------------------------------------------------------------------------------------------


class AppNotFound(InvalidRequest):
    """There is no such application, or this user has no access to it."""


class AppExists(InvalidRequest):
    """An application with this id is there already. Choose another id."""


class UserNotFound(InvalidRequest):
    """There is no such system user."""


class UserExists(InvalidRequest):
    """A system user with this name is there already. Choose another name."""


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


class SignatureHeaderMalformed(RingbackError):
    """authHeader is not a PowerAuth authorization header. Send the whole value that the mobile SDK returned."""

    status = 400
    code = "ERROR_SIGNATURE_INVALID"


class TokenHeaderMalformed(RingbackError):
    """authHeader is not a PowerAuth token header of a supported version."""

    status = 400
    code = "ERROR_TOKEN_INVALID"


# operations: what a back end is told ----------------------------------------------------------------------------------


class OperationNotFound(RingbackError):
    """There is no such operation."""

    status = 400
    code = "ERROR_OPERATION_NOT_FOUND"


class OperationStateChangeRefused(RingbackError):
    """The operation is no longer pending, so it cannot be changed."""

    status = 400
    code = "ERROR_OPERATION_STATE_CHANGE"


class TemplateNotFound(InvalidRequest):
    """There is no operation template with this name."""


class NativeTemplateNotFound(NotFound):
    """There is no operation template with this name."""


class IdempotencyKeyReused(RingbackError):
    """This Idempotency-Key came with another request before. Use a new key for a new request."""

    status = 409
    code = "ERROR_REQUEST"


class TemplateExists(RingbackError):
    """An operation template with this name is there already. Use PUT to change it."""

    status = 409
    code = "ERROR_REQUEST"


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


class TemporaryKeyFailure(MobileError):
    """POWER_AUTH_TEMPORARY_KEY_FAILURE"""

    code = "ERR_TEMPORARY_KEY"


class MobileTokenFailed(MobileError):
    """The request could not be authenticated."""

    status = 401
    code = "POWERAUTH_AUTH_FAIL"


class InvalidMobileRequest(MobileError):
    """The request does not have the shape that this address asks for."""

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
