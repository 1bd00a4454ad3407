"""Writes docs/slo.md."""

from rostra_observability.slo import Burn, Promises, Slo

_HEAD = """# What Rostra promises

Made from [observability/slo.yaml](../observability/slo.yaml) by `make generate`. Change the numbers there: rules, alerts, the overview dashboard and this page follow.

The objectives are a beginning: they hold for providers that answer fast. Set them to what your users need and your models can give.

| objective | over | holds when | who is told |
|---|---|---|---|
"""
_TAIL = """
An alert needs both of its windows to burn: the long one says that it matters, the short one that it goes on. It stays silent below
{least} events in the long window, where one failure more or less decides; a stack with hardly any traffic is watched by `RostraServiceDown` and its like.
"""


def slo_page(promises: Promises) -> str:
    """Return the page."""
    rows = [_row(slo, promises.window_days) for slo in promises.slos]
    indicators = "\n".join(_indicator(slo) for slo in promises.slos)
    burns = "\n".join(_burn(burn, promises.window_days) for burn in promises.burns)
    tail = _TAIL.format(least=min(slo.least for slo in promises.slos))
    return (
        f"{_HEAD}{chr(10).join(rows)}\n\n## Indicators\n\n{indicators}\n\n## When somebody is told\n\n"
        f"| severity | burn rate | in the last | and the last | for | the budget lasts |\n|---|---|---|---|---|---|\n{burns}\n{tail}"
    )


def _row(slo: Slo, window_days: int) -> str:
    minutes = slo.budget * window_days * 24 * 60
    runbook = f"[{slo.alert}](../observability/runbooks/{slo.alert}.md)"
    return f"| **{slo.title}**: {slo.objective:g} % | {window_days} days (all down: {minutes:.0f} min) | {slo.promise} | {runbook} |"


def _indicator(slo: Slo) -> str:
    bad = f"`{slo.bad}`" if slo.bad else f"`{slo.total}` less `{slo.good}`"
    return f"- `{slo.name}`: bad are {bad}, of `{slo.total}`."


def _burn(burn: Burn, window_days: int) -> str:
    lasts = window_days / burn.rate
    return f"| {burn.severity} | {burn.rate:g} | {burn.long} | {burn.short} | {burn.wait} | {lasts:.3g} days |"
