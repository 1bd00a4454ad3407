"""Write the chart's rules and dashboards, and docs/slo.md: `make generate`."""

from pathlib import Path

from rostra_observability.dashboards import dashboard_files
from rostra_observability.paths import CHART_DASHBOARDS, CHART_RULES, SLO_PAGE
from rostra_observability.rules import rule_files
from rostra_observability.slo import read_promises
from rostra_observability.slo_page import slo_page


def main() -> None:
    """Write everything, and remove what is made no more."""
    promises = read_promises()
    _write(CHART_RULES, rule_files(promises), suffix=".yaml")
    _write(CHART_DASHBOARDS, dashboard_files(promises), suffix=".json")
    SLO_PAGE.write_text(slo_page(promises))


def _write(folder: Path, files: dict[str, str], *, suffix: str) -> None:
    for old in set(folder.glob(f"*{suffix}")) - {folder / name for name in files}:
        old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
