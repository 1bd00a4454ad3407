"""Each alert fires when it must and is silent when it must be; Prometheus' own evaluator says so."""

import os
from pathlib import Path

import pytest

from rostra_observability.alerts import written_alerts
from support.promtool import CHART_RULES, assert_cases_hold, check, written_cases


def test_prometheus_takes_the_rules() -> None:
    check("check", "rules", *sorted(CHART_RULES.glob("*.yaml")))


@pytest.mark.timeout(600)
def test_alerts_fire_and_keep_silent_as_their_cases_say(tmp_path: Path) -> None:
    assert_cases_hold(written_cases(), tmp_path, with_all_rules=bool(os.environ.get("ROSTRA_TEST_MINUTES")))


def test_every_alert_of_each_severity_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = written_cases()
    fired = {(case.alert, case.fires[case.alert]) for case in cases if case.alert in case.fires}
    silent = {case.alert for case in cases if case.alert not in case.fires}
    alerts = written_alerts()
    assert {(alert.name, alert.severity) for alert in alerts} == fired
    assert {alert.name for alert in alerts} == silent
