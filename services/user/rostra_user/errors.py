"""The errors of the user service.

InvalidArgumentError
├── UnacceptableError        well formed, but not acceptable: a short password, an odd address
└── UnknownCursorError       a list was to go on after an element that is not in it
UnauthenticatedError
├── InvalidApiKeyError       the API key or session is unknown, expired or revoked
├── InvalidCredentialsError  address and password do not match an account
└── InvalidRefreshTokenError the refresh token is unknown, expired or was used before
PermissionDeniedError
├── NotAdministratorError    the caller is no administrator, or not any more
├── WrongPasswordError       the present password, asked for by a change, is not right
└── RegistrationClosedError  new accounts cannot be registered here
NotFoundError
├── UserNotFoundError        the account does not exist any more
├── ApiKeyNotFoundError      the API key does not exist, or is another user's
└── PlanNotFoundError        no plan has this name
AlreadyExistsError
└── EmailTakenError          another account has the address
ConflictError
├── PlanInUseError           somebody is on the plan, or new accounts will be
└── TooManyApiKeysError      the user has as many live keys as are allowed
"""

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)


class UnacceptableError(InvalidArgumentError):
    """The value is well formed, but not acceptable."""

    default_reason = ErrorReason.ERROR_REASON_UNPROCESSABLE


class UnknownCursorError(InvalidArgumentError):
    """A list was to go on after an element that is not in it."""

    def __init__(self, after_id: str) -> None:
        super().__init__(f"There is no element {after_id[:64]!r} to go on after.", param="after")


class InvalidApiKeyError(UnauthenticatedError):
    """The API key or session is unknown, expired or revoked."""

    def __init__(self) -> None:
        super().__init__("The API key or access token is not valid, or not any more.")


class InvalidCredentialsError(UnauthenticatedError):
    """Address and password do not match an account."""

    default_reason = ErrorReason.ERROR_REASON_INVALID_CREDENTIALS

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is not right.")


class InvalidRefreshTokenError(UnauthenticatedError):
    """The refresh token is unknown, expired or was used before."""

    default_reason = ErrorReason.ERROR_REASON_INVALID_REFRESH_TOKEN

    def __init__(self) -> None:
        super().__init__("The refresh token is not valid, or not any more. Sign in again.")


class NotAdministratorError(PermissionDeniedError):
    """The caller is no administrator, or not any more."""

    def __init__(self) -> None:
        super().__init__("Only administrators may do this.")


class WrongPasswordError(PermissionDeniedError):
    """The present password, asked for by a change, is not right."""

    default_reason = ErrorReason.ERROR_REASON_INVALID_CREDENTIALS

    def __init__(self) -> None:
        super().__init__("The present password is not right.", param="current_password")


class RegistrationClosedError(PermissionDeniedError):
    """New accounts cannot be registered here, or not without the right invitation code."""

    default_reason = ErrorReason.ERROR_REASON_REGISTRATION_CLOSED


class UserNotFoundError(NotFoundError):
    """The account does not exist any more."""

    default_reason = ErrorReason.ERROR_REASON_USER_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("This account does not exist any more.")


class ApiKeyNotFoundError(NotFoundError):
    """The API key does not exist, or is another user's."""

    default_reason = ErrorReason.ERROR_REASON_API_KEY_NOT_FOUND

    def __init__(self, api_key_id: str) -> None:
        super().__init__(f"There is no API key {api_key_id[:64]!r}.", param="api_key_id")


class PlanNotFoundError(NotFoundError):
    """No plan has this name."""

    default_reason = ErrorReason.ERROR_REASON_PLAN_NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no plan {name[:64]!r}.", param="plan")


class PlanInUseError(ConflictError):
    """Somebody is on the plan, or new accounts will be."""

    def __init__(self) -> None:
        super().__init__("Somebody is on this plan, or new accounts will be. Put them on another one first.")


class EmailTakenError(AlreadyExistsError):
    """Another account has the address."""

    default_reason = ErrorReason.ERROR_REASON_EMAIL_TAKEN

    def __init__(self) -> None:
        super().__init__("An account with this e-mail address exists already.", param="email")


class TooManyApiKeysError(ConflictError):
    """The user has as many live keys as are allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"An account can have {limit} live API keys. Revoke one first.")
