"""Where the sources are, and where what is made of them goes."""

from pathlib import Path

SOURCES = Path(__file__).parent.parent
REPOSITORY = SOURCES.parent

SLO_FILE = SOURCES / "slo.yaml"
RULES = SOURCES / "rules"
RUNBOOKS = SOURCES / "runbooks"
EXPORTERS_FILE = SOURCES / "exporters.yaml"
TELEMETRY_PAGE = REPOSITORY / "docs/telemetry.md"

CHART_RULES = REPOSITORY / "charts/rostra/files/rules"
CHART_DASHBOARDS = REPOSITORY / "charts/rostra/files/dashboards"
SLO_PAGE = REPOSITORY / "docs/slo.md"
PICTURES = REPOSITORY / "docs/pictures"
