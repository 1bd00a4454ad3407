"""How many requests one gateway has under way: more would make all of them slow, until none is answered in time."""

from types import TracebackType

from rostra_gateway.metrics import GatewayMetrics
from rostra_kit.errors import UnavailableError

_RETRY_AFTER_SECONDS = 1


class Capacity:
    """The places that this process has for requests: a context manager takes one for as long as it takes.

    An open stream keeps its place until it ends.

    Args:
        most: How many there are.
        metrics: Knows how many are taken, and counts the requests that found none.
    """

    def __init__(self, most: int, metrics: GatewayMetrics) -> None:
        self._most = most
        self._metrics = metrics
        self._taken = 0
        metrics.requests_under_way.set_function(lambda: self._taken)

    def __enter__(self) -> None:
        """Take a place. Nobody waits for one: another gateway may have one now.

        Raises:
            UnavailableError: All are taken.
        """
        if self._taken >= self._most:
            self._metrics.refusals.labels("under_way").inc()
            raise UnavailableError(
                "This server has as many requests under way as it can serve. Please try again in a moment.",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
                metadata={"code": "server_is_overloaded"},
            )
        self._taken += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give it back."""
        self._taken -= 1
