"""Each query of dashboards, rules and runbooks is one, and names only series that somebody exports."""

from pathlib import Path

from support.promtool import check
from support.queries import (
    alert_and_record_queries,
    as_rule_file,
    dashboard_queries,
    known_series,
    runbook_queries,
    series_of_others,
)

QUERIES = [*dashboard_queries(), *alert_and_record_queries(), *runbook_queries()]


def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    check("check", "rules", as_rule_file(tmp_path / "all.yaml", QUERIES))


def test_every_query_names_series_that_exist() -> None:
    known = known_series()
    unknown = {query.place: query.series - known for query in QUERIES if query.series - known}
    assert not unknown


def test_series_of_other_exporters_are_told_where_they_are_needed() -> None:
    foreign = series_of_others() - {"up", "ALERTS"}
    untold = [query.place for query in dashboard_queries() if query.series & foreign and not query.needs]
    assert not untold


def test_nothing_of_other_exporters_is_listed_that_nobody_reads() -> None:
    read = {name for query in QUERIES for name in query.series}
    assert series_of_others() <= read
