"""An alert on an outcome sees its first event, for the series was there before."""

import pytest
from prometheus_client import CollectorRegistry

from rostra_user.metrics import UserMetrics


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("rostra_user_log_ins_total", "refused"),
        ("rostra_user_refreshes_total", "reused"),
        ("rostra_user_revocations_total", "failed"),
        ("rostra_user_usage_events_total", "bad"),
    ],
)
def test_what_has_not_happened_yet_is_shown_as_zero(name: str, outcome: str) -> None:
    registry = CollectorRegistry()
    UserMetrics(registry)
    assert registry.get_sample_value(name, {"outcome": outcome}) == 0
