"""Errors as clients see them."""

import httpx
import orjson
import pytest

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_gateway.problems import error_body, http_status, problem
from rostra_kit import errors
from rostra_kit.errors import AppError
from services.gateway.tests.fake_chat import ERRORS

# Every reason: how it is raised, its HTTP status, and OpenAI's type.
REASONS: dict[str, tuple[type[AppError], int, str]] = {
    "INVALID_VALUE": (errors.InvalidArgumentError, 400, "invalid_request_error"),
    "INVALID_TYPE": (errors.InvalidArgumentError, 400, "invalid_request_error"),
    "MISSING_REQUIRED_PARAMETER": (errors.InvalidArgumentError, 400, "invalid_request_error"),
    "UNSUPPORTED_VALUE": (errors.InvalidArgumentError, 400, "invalid_request_error"),
    "UNPROCESSABLE": (errors.InvalidArgumentError, 422, "invalid_request_error"),
    "REQUEST_TOO_LARGE": (errors.InvalidArgumentError, 413, "invalid_request_error"),
    "CONTEXT_LENGTH_EXCEEDED": (errors.InvalidArgumentError, 400, "invalid_request_error"),
    "MODEL_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
    "CONVERSATION_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
    "ITEM_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
    "RESPONSE_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
    "PREVIOUS_RESPONSE_NOT_FOUND": (errors.InvalidArgumentError, 400, "invalid_request_error"),
    "USER_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
    "API_KEY_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
    "INVALID_API_KEY": (errors.UnauthenticatedError, 401, "authentication_error"),
    "INVALID_CREDENTIALS": (errors.UnauthenticatedError, 401, "authentication_error"),
    "INVALID_REFRESH_TOKEN": (errors.UnauthenticatedError, 401, "authentication_error"),
    "PERMISSION_DENIED": (errors.PermissionDeniedError, 403, "permission_error"),
    "REGISTRATION_CLOSED": (errors.PermissionDeniedError, 403, "permission_error"),
    "EMAIL_TAKEN": (errors.AlreadyExistsError, 409, "conflict_error"),
    "CONFLICT": (errors.ConflictError, 409, "conflict_error"),
    "RATE_LIMIT_EXCEEDED": (errors.ResourceExhaustedError, 429, "requests"),
    "INSUFFICIENT_QUOTA": (errors.ResourceExhaustedError, 429, "insufficient_quota"),
    "LIMITS_UNAVAILABLE": (errors.UnavailableError, 503, "server_error"),
    "PROVIDER_REJECTED": (errors.InvalidArgumentError, 400, "invalid_request_error"),
    "PROVIDER_RATE_LIMITED": (errors.ResourceExhaustedError, 429, "rate_limit_error"),
    "PROVIDER_UNAUTHORIZED": (errors.UnavailableError, 503, "server_error"),
    "PROVIDER_ERROR": (errors.UnavailableError, 503, "server_error"),
    "PROVIDER_UNAVAILABLE": (errors.UnavailableError, 503, "server_error"),
    "PROVIDER_TIMEOUT": (errors.DeadlineExceededError, 504, "server_error"),
    "STREAM_INTERRUPTED": (errors.UnavailableError, 503, "server_error"),
    "SERVICE_UNAVAILABLE": (errors.UnavailableError, 503, "server_error"),
    "DEADLINE_EXCEEDED": (errors.DeadlineExceededError, 504, "server_error"),
    "INTERNAL_ERROR": (errors.InternalError, 500, "server_error"),
    "LEASE_LOST": (errors.ConflictError, 409, "conflict_error"),
    "EVENTS_NOT_KEPT": (errors.NotFoundError, 400, "invalid_request_error"),
    "SHARE_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
    "CHAT_COMPLETION_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
    "FEEDBACK_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
    "PLAN_NOT_FOUND": (errors.NotFoundError, 404, "not_found_error"),
}


def test_every_reason_is_in_the_table() -> None:
    assert {f"ERROR_REASON_{name}" for name in REASONS} | {"ERROR_REASON_UNSPECIFIED"} == set(ErrorReason.keys())


@pytest.mark.parametrize("name", REASONS)
def test_reason_has_its_status_type_and_code(name: str) -> None:
    error_class, status, error_type = REASONS[name]
    error = error_class("Why.", reason=ErrorReason.Value(f"ERROR_REASON_{name}"), param="field")
    assert http_status(error) == status
    assert error_body(error) == {"message": "Why.", "type": error_type, "param": "field", "code": name.lower()}


def test_code_of_a_provider_is_passed_on() -> None:
    error = errors.InvalidArgumentError("Why.", metadata={"code": "string_above_max_length"})
    assert error_body(error)["code"] == "string_above_max_length"


@pytest.mark.parametrize(("wait", "header"), [(0.2, "1"), (1.0, "1"), (1.2, "2"), (59.99, "60")])
def test_wait_is_told_in_whole_seconds_rounded_up(wait: float, header: str) -> None:
    answer = problem(errors.ResourceExhaustedError("Slow down.", retry_after_seconds=wait))
    assert answer.headers["retry-after"] == header
    assert "x-should-retry" not in answer.headers


@pytest.mark.parametrize(
    "error",
    [errors.ResourceExhaustedError("Spent."), errors.UnavailableError("Gone."), errors.DeadlineExceededError("Late.")],
)
def test_official_sdks_are_told_not_to_retry_what_cannot_help(error: AppError) -> None:
    answer = problem(error)
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


def test_client_errors_do_not_speak_of_retries() -> None:
    answer = problem(errors.InvalidArgumentError("Wrong."))
    assert not {"retry-after", "x-should-retry"} & set(answer.headers)


def test_body_holds_nothing_but_the_error() -> None:
    document = orjson.loads(problem(errors.InternalError("Oh.", metadata={"error_id": "abc"})).body)
    assert document.keys() == {"error"}
    assert document["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("model", ERRORS)
async def test_error_of_a_service_reaches_the_client_whole(client: httpx.AsyncClient, model: str) -> None:
    answer = await client.post(
        "/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": "x"}]}
    )
    assert answer.status_code == http_status(ERRORS[model])
    assert answer.json() == {"error": error_body(ERRORS[model])}
