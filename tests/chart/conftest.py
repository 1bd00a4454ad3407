"""Tests of the chart and of what surrounds it; they need no cluster and no helm."""

import pytest

from support.chart import scenarios


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `scenario` for each of them."""
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", scenarios())
