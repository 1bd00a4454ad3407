"""When a dependency that failed is tried again."""

from rostra_kit.limits import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_closed_breaker_lets_everybody_try() -> None:
    breaker = CircuitBreaker()
    assert [breaker.allows() for _ in range(3)] == [True] * 3


def test_failure_keeps_everybody_away_for_a_while() -> None:
    clock = Clock()
    breaker = CircuitBreaker(open_seconds=1.0, clock=clock)
    breaker.record_failure()
    clock.seconds += 0.99
    assert not breaker.allows()


def test_after_a_while_one_caller_tries_for_all() -> None:
    clock = Clock()
    breaker = CircuitBreaker(open_seconds=1.0, clock=clock)
    breaker.record_failure()
    clock.seconds += 1.0
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    clock.seconds += 1.0
    assert breaker.allows(), "a caller that never reported back does not keep it open for ever"


def test_success_lets_everybody_try_again() -> None:
    breaker = CircuitBreaker()
    breaker.record_failure()
    breaker.record_success()
    assert [breaker.allows() for _ in range(3)] == [True] * 3


def test_only_the_first_failure_is_news() -> None:
    breaker = CircuitBreaker()
    assert [breaker.record_failure() for _ in range(3)] == [True, False, False]
    breaker.record_success()
    assert breaker.record_failure()
