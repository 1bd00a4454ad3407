"""What dashboards are made of: panels with their queries, rows of panels, boards of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "table", "bargauge", "text"]

# In queries `@` stands for the namespaces that are chosen above a dashboard.
SELECTED = 'namespace=~"$namespace"'
PER_SECOND = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel, and what its series are called: `{{label}}` is the label's value."""

    expr: str
    legend: str

    @property
    def text(self) -> str:
        """Return the query as Grafana gets it."""
        return self.expr.replace("@", SELECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture.

    Attributes:
        title: What it shows.
        description: What a reader should know: what is good, what it leads to.
        queries: What it is drawn from.
        unit: Grafana's name of the unit.
        kind: Its kind.
        width: Of 24 columns.
        height: In Grafana's rows.
        alerts: Alerts that look at the same; the panel links to their runbooks.
        needs: Why it may be empty: what is not Rostra's own, or does not happen in every installation.
        exemplars: Whether its points lead to traces.
        red_above: From where on its value is bad; for stats.
        red_below: Likewise, where more is better.
        stacked: Whether series are shown one upon the other.
        text: Markdown, for a panel of text.
    """

    title: str
    description: str = ""
    queries: Sequence[Query] = ()
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    alerts: Sequence[str] = ()
    needs: str = ""
    exemplars: bool = False
    red_above: float | None = None
    red_below: float | None = None
    stacked: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard; `name` is the last part of its uid and of its file's name."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]

    @property
    def uid(self) -> str:
        """Return the uid, by which others link to it."""
        return f"rostra-{self.name}"

    @property
    def panels(self) -> list[Panel]:
        """Return all panels."""
        return [panel for row in self.rows for panel in row.panels]


def rate(metric: str, *, by: str = "", labels: str = "") -> str:
    """Return the query for a counter's events per second, summed up by labels."""
    selector = f"@, {labels}" if labels else "@"
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({metric}{{{selector}}}[{PER_SECOND}]))"


def quantile(share: float, histogram: str, *, by: str = "", labels: str = "") -> str:
    """Return the query for a quantile of a histogram."""
    selector = f"@, {labels}" if labels else "@"
    grouped = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({histogram}_bucket{{{selector}}}[{PER_SECOND}])))"


def quantiles(histogram: str, *, labels: str = "") -> list[Query]:
    """Return the median, the 95 % and the 99 % of a histogram."""
    return [Query(quantile(share, histogram, labels=labels), f"{share:.0%}") for share in (0.5, 0.95, 0.99)]
