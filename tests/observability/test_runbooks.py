"""Each alert has a runbook and each runbook an alert, and a runbook says what whoever is woken needs."""

import re
from pathlib import Path

import pytest

from rostra_observability.alerts import written_alerts
from rostra_observability.paths import REPOSITORY, RUNBOOKS

PATHS = sorted(RUNBOOKS.glob("*.md"))
HEADINGS = ["First look", "Causes", "What to do", "If this did not help"]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert {path.stem for path in PATHS} == {alert.name for alert in written_alerts()}
    assert all((REPOSITORY / alert.runbook).is_file() for alert in written_alerts())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_runbook_has_its_parts(path: Path) -> None:
    title, _, rest = path.read_text().partition("\n")
    assert title == f"# {path.stem}"
    assert re.findall(r"^## (.*)$", rest, flags=re.MULTILINE) == HEADINGS
    first = rest.partition("## First look")[2].partition("## Causes")[0].strip()
    assert re.fullmatch(r"```(promql|sh)\n[^\n]+\n```", first)
    assert len(rest.partition("## First look")[0].strip()) > 80


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_its_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        assert (path.parent / target).resolve().is_file(), target


def test_what_they_look_for_in_logs_is_logged() -> None:
    code = "\n".join(path.read_text() for path in REPOSITORY.glob("services/*/rostra_*/**/*.py"))
    for path in PATHS:
        for sought in re.findall(r"grep (?:-i )?(?:'([^'\"]+)'|([a-z_]+))", path.read_text()):
            text = sought[0] or sought[1]
            assert text.casefold() in code.casefold(), f"{path.stem}: {text}"


def test_settings_that_they_name_are_the_charts() -> None:
    settings = (REPOSITORY / "charts/rostra/README.md").read_text()
    for path in PATHS:
        for name in re.findall(r"`((?:gateway|chat|history|user)\.settings\.[\w.]+)`", path.read_text()):
            assert f"`{name}`" in settings, f"{path.stem}: {name}"
