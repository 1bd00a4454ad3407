"""The refusals of the scripted provider, in the shape in which OpenAI refuses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What OpenAI says in place of an answer: a status and an error body."""

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return OpenAI's error body, in which all four keys are always present."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class RejectedError(Exception):
    """A request that the provider does not play a script for."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def bad_parameter(param: str, message: str) -> RejectedError:
    """Return the refusal of a request whose parameter `param` is wrong."""
    return RejectedError(Failure(status=400, message=message, param=param))


def invalid_api_key() -> Failure:
    """Return the refusal of a missing or wrong API key."""
    return Failure(status=401, message="Incorrect API key provided.", code="invalid_api_key")


def unknown_model(model: str) -> Failure:
    """Return the refusal of a model that the provider does not have."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return Failure(status=404, message=message, param="model", code="model_not_found")


def overloaded() -> Failure:
    """Return what a provider says that has no capacity left, before or within a stream."""
    return Failure(
        status=503,
        message="The server is currently overloaded. Please try again later.",
        kind="server_error",
        code="server_is_overloaded",
    )


def failure_for(name: str, *, model: str) -> Failure | None:
    """Return the failure that the model `status-{name}` stands for, or None where the name is no error status."""
    known = {
        "400": Failure(status=400, message="Invalid value for 'temperature'.", param="temperature"),
        "400-context": Failure(
            status=400,
            message="This model's maximum context length is 8192 tokens.",
            param="messages",
            code="context_length_exceeded",
        ),
        "401": invalid_api_key(),
        "404": unknown_model(model),
        "422": Failure(status=422, message="Unprocessable value for 'top_p'.", param="top_p"),
        "429": Failure(
            status=429,
            message=f"Rate limit reached for {model} on requests per min (RPM): Limit 60, Used 60, Requested 1.",
            kind="requests",
            code="rate_limit_exceeded",
            headers={"Retry-After": "7"},
        ),
        "429-quota": Failure(
            status=429,
            message="You exceeded your current quota, please check your plan and billing details.",
            kind="insufficient_quota",
            code="insufficient_quota",
            headers={"x-should-retry": "false"},
        ),
        "500": Failure(status=500, message="The server had an error.", kind="server_error"),
        "503": overloaded(),
    }
    return known.get(name) or _plain_failure(name)


def _plain_failure(name: str) -> Failure | None:
    """Return a failure for a status that OpenAI's documents say nothing particular about."""
    if not (name.isascii() and name.isdigit() and 400 <= int(name) <= 599):
        return None
    kind = "server_error" if int(name) >= 500 else "invalid_request_error"
    return Failure(status=int(name), message=f"Scripted status {name}.", kind=kind)
