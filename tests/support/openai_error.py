"""What every refusal has in common: OpenAI's error body, under a status that fits, with a request id to ask about."""

from typing import Any

import httpx


def refusal(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Return the error object of an answer that must be a refusal in OpenAI's shape.

    Args:
        answer: The answer, read to its end.
        statuses: The statuses it may have; any 4xx when none is given.
    """
    told = f"{answer.status_code} {answer.text[:400]}"
    assert answer.status_code in (statuses or range(400, 500)), told
    assert answer.headers["content-type"] == "application/json", told
    assert answer.headers["x-request-id"].startswith("req_"), told
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}, told
    assert isinstance(error["message"], str)
    assert error["message"], told
    assert isinstance(error["type"], str), told
    return error
