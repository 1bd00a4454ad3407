"""What the chart makes of each scenario is kept for review: a change of it is a change of a file."""

import pytest

from support.chart import golden, golden_path, read_values, scenarios


def test_rendered_scenario_is_its_golden(scenario: str) -> None:
    if golden(read_values(scenarios()[scenario])) != golden_path(scenario).read_text():
        pytest.fail(
            f"{golden_path(scenario)} is not what the chart makes now. Run `make generate` and look at the diff."
        )


def test_no_golden_is_left_over() -> None:
    assert {path.stem for path in golden_path("").parent.glob("*.yaml")} == scenarios().keys()
