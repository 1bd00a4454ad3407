"""Is Rostra well? What Rostra promises, what fires, and the figures that tell where to look next."""

from rostra_observability.panel import Board, Panel, Query, Row, quantiles, rate
from rostra_observability.slo import BUDGET_LEFT, Promises, Slo, ratio


def overview(promises: Promises) -> Board:
    """Return the board."""
    return Board(
        name="overview",
        title="Overview",
        description="Is Rostra well? What it promises, what fires, and where to look next.",
        rows=[_promises(promises), _alerts(), _traffic(), _services(), _telemetry()],
    )


def _promises(promises: Promises) -> Row:
    panels = [panel for slo in promises.slos for panel in _promise(slo, promises)]
    return Row("What Rostra promises (docs/slo.md)", panels)


def _promise(slo: Slo, promises: Promises) -> list[Panel]:
    needs = "" if slo.name == "availability" else "streams or background responses"
    selected = f'@, slo="{slo.name}"'
    return [
        Panel(
            title=f"{slo.title}: error budget left",
            description=f"Of {promises.window_days} days. {slo.promise} Objective: {slo.objective:g} %.",
            queries=[Query(f"{BUDGET_LEFT}{{{selected}}}", "{{namespace}}")],
            unit="percentunit",
            kind="stat",
            width=6,
            height=5,
            red_below=0.2,
            alerts=[slo.alert],
            needs=needs,
        ),
        Panel(
            title=f"{slo.title}: burn rate",
            description="How many times faster than allowed the budget is used. Above 14.4 in both windows somebody is paged.",
            queries=[
                Query(f"{ratio(window)}{{{selected}}} / {slo.budget:g}", f"{window} {{{{namespace}}}}")
                for window in ("5m", "1h", "6h")
            ],
            width=6,
            height=5,
            red_above=14.4,
            alerts=[slo.alert],
            needs=needs,
        ),
    ]


def _alerts() -> Row:
    firing = 'ALERTS{alertname=~"Rostra.+", alertstate="firing"}'
    table = Panel(
        title="Firing alerts",
        description="Pages and tickets. The board Runbooks has a runbook for each.",
        queries=[Query(firing, "")],
        kind="table",
        width=24,
        height=6,
        needs="an alert that fires",
    )
    return Row("Alerts", [table])


def _traffic() -> Row:
    return Row(
        "Traffic",
        [
            Panel(
                title="Requests by status",
                description="4xx has the 499 of clients that left before their answer began; 0xx: this process ended first.",
                queries=[
                    Query(
                        f'sum by (class) (label_replace({rate("rostra_gateway_requests_total", by="status")}, "class", "${{1}}xx", "status", "(.).*"))',
                        "{{class}}",
                    )
                ],
                unit="reqps",
                stacked=True,
                alerts=["RostraGatewayErrors"],
            ),
            Panel(
                title="Time to the first event of streams",
                description="From a request's arrival at the gateway. Points lead to traces.",
                queries=quantiles("rostra_gateway_first_byte_seconds"),
                unit="s",
                exemplars=True,
                alerts=["RostraFirstTokenBudgetBurns"],
            ),
            Panel(
                title="Streams under way",
                description="At the gateways, and at the providers.",
                queries=[
                    Query("sum(rostra_gateway_open_streams{@})", "gateway"),
                    Query("sum(rostra_chat_open_streams{@})", "providers"),
                ],
            ),
        ],
    )


def _services() -> Row:
    return Row(
        "Services",
        [
            Panel(
                title="Replicas",
                description="Those that answer Prometheus.",
                queries=[Query("count by (job, version) (rostra_build_info{@})", "{{job}} {{version}}")],
                alerts=["RostraServiceDown", "RostraPodUnreachable", "RostraMetricsMissing"],
            ),
            Panel(
                title="Calls that fail",
                description="Share of the RPCs that each service answers with an error of its own, or of what it needs.",
                queries=[Query("job:rostra_rpc_errors:ratio_rate5m{@}", "{{job}}")],
                unit="percentunit",
                red_above=0.05,
                alerts=["RostraRpcErrors"],
            ),
            Panel(
                title="Event loop lag",
                description="99 % of the wake-ups of each process are sooner. Above a quarter of a second it is saturated.",
                queries=[Query("pod:rostra_event_loop_lag_seconds:p99_rate5m{@}", "{{pod}}")],
                unit="s",
                red_above=0.25,
                alerts=["RostraEventLoopLags"],
            ),
            Panel(
                title="CPU",
                description="Cores that each process uses. It can use one.",
                queries=[Query("pod:rostra_cpu_cores:rate5m{@}", "{{pod}}")],
                red_above=0.9,
                alerts=["RostraCpuHigh"],
            ),
            Panel(
                title="Memory",
                description="Resident memory of each process.",
                queries=[
                    Query(
                        "process_resident_memory_bytes{@} * on (namespace, job, pod) group_left () rostra_build_info",
                        "{{pod}}",
                    )
                ],
                unit="bytes",
                alerts=["RostraMemoryHigh"],
            ),
            Panel(
                title="File descriptors",
                description="Share of those that each process may have open.",
                queries=[
                    Query(
                        "process_open_fds{@} / process_max_fds * on (namespace, job, pod) group_left () rostra_build_info",
                        "{{pod}}",
                    )
                ],
                unit="percentunit",
                red_above=0.8,
                alerts=["RostraFileDescriptorsHigh"],
            ),
        ],
    )


def _telemetry() -> Row:
    return Row(
        "Certificates and traces",
        [
            Panel(
                title="Certificates end in",
                description="Of the mutual TLS between services.",
                queries=[
                    Query(
                        "min by (job, purpose) (rostra_certificate_expiry_timestamp_seconds{@}) - time()",
                        "{{job}} {{purpose}}",
                    )
                ],
                unit="s",
                red_below=7 * 86400,
                alerts=["RostraCertificateExpires"],
                needs="mutual TLS",
                width=12,
            ),
            Panel(
                title="Spans",
                description="What became of them: exported, dropped (the queue was full), failed (not taken).",
                queries=[Query(rate("rostra_telemetry_spans_total", by="outcome"), "{{outcome}}")],
                unit="cps",
                alerts=["RostraSpansLost"],
                needs="a collector of traces",
                width=12,
            ),
        ],
    )
