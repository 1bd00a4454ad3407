"""The errors that chat raises beside the kit's own.

NotFoundError
├── ModelNotFound          no model of this name is offered
└── EventsNotKept          the events of a response are not kept any more, or never were
ConflictError
└── LeaseLost              a background response is another runner's now
InvalidArgumentError
└── ContextLengthExceeded  input and answer do not fit the model's window
InternalError
└── ProviderError          the provider failed, or said what cannot be understood
UnavailableError
└── ProviderUnavailable    the provider cannot be reached, or is overloaded
DeadlineExceededError
└── ProviderTimeout        the provider did not answer in time

A caller's limits and the provider's refusals are the kit's own classes with reasons of their own.
"""

from typing import Self

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import (
    ConflictError,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)


class ModelNotFound(NotFoundError):
    """No model of this name is offered."""

    default_reason = ErrorReason.ERROR_REASON_MODEL_NOT_FOUND

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the error for the model that the client called `name`."""
        return cls(f"The model `{name}` does not exist or you do not have access to it.", param="model")


class EventsNotKept(NotFoundError):
    """The events of a response are not kept any more, or never were; the response itself is."""

    default_reason = ErrorReason.ERROR_REASON_EVENTS_NOT_KEPT


class LeaseLost(ConflictError):
    """A background response is another runner's now."""

    default_reason = ErrorReason.ERROR_REASON_LEASE_LOST


class ContextLengthExceeded(InvalidArgumentError):
    """The input and the room for the answer do not fit the model's context window."""

    default_reason = ErrorReason.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED


class ProviderError(InternalError):
    """The provider failed, or said what cannot be understood."""

    default_reason = ErrorReason.ERROR_REASON_PROVIDER_ERROR


class ProviderUnavailable(UnavailableError):
    """The provider cannot be reached, or is overloaded."""

    default_reason = ErrorReason.ERROR_REASON_PROVIDER_UNAVAILABLE


class ProviderTimeout(DeadlineExceededError):
    """The provider did not answer in time."""

    default_reason = ErrorReason.ERROR_REASON_PROVIDER_TIMEOUT
