"""A refusal is said in OpenAI's words."""

import pytest

from rostra_chat.limit_answers import refusal_error
from rostra_kit.limits import LimitState, RateClaim, Refusal

CLAIM = RateClaim("tokens", "limit:{user_1}:tpm", limit=30_000, cost=24_754)


@pytest.mark.parametrize(
    ("seconds", "spoken"), [(0.32, "320ms"), (1.2, "1.2s"), (18.642, "18.642s"), (59.9996, "60s"), (360.2, "6m0s")]
)
def test_wait_is_written_as_openai_writes_it(seconds: float, spoken: str) -> None:
    states = (LimitState("tokens", limit=30_000, remaining=15_433, reset_seconds=29.1),)
    error = refusal_error(Refusal("tokens", seconds, states), [CLAIM], model="gpt-6-sol")
    assert error.message == (
        "Rate limit reached for gpt-6-sol on tokens per min (TPM): Limit 30000, Used 14567, Requested 24754. "
        f"Please try again in {spoken}."
    )
    assert error.retry_after_seconds == seconds
