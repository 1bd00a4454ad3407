"""The edge: who asks for what, what they get, and what refuses them."""

from rostra_observability.panel import PER_SECOND, Board, Panel, Query, Row, quantile, rate

GATEWAY = Board(
    name="gateway",
    title="Gateway",
    description="The edge: what is asked for, what is answered, and what refuses.",
    rows=[
        Row(
            "Requests",
            [
                Panel(
                    title="Requests by route",
                    description="The ten busiest.",
                    queries=[Query(f"topk(10, {rate('rostra_gateway_requests_total', by='route')})", "{{route}}")],
                    unit="reqps",
                ),
                Panel(
                    title="Errors by route",
                    description="Share of the answers that are a 5xx.",
                    queries=[Query("route:rostra_gateway_errors:ratio_rate5m{@}", "{{route}}")],
                    unit="percentunit",
                    red_above=0.1,
                    alerts=["RostraGatewayErrors", "RostraAvailabilityBudgetBurns"],
                    needs="5xx answers",
                ),
                Panel(
                    title="Answers by status",
                    description="Status 499: the client left before its answer began; 0: this process ended first.",
                    queries=[Query(rate("rostra_gateway_requests_total", by="status"), "{{status}}")],
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    title="Time of requests, 95 %",
                    description="From the arrival to the last byte, streams included. Points lead to traces.",
                    queries=[Query(quantile(0.95, "rostra_gateway_request_seconds", by="route"), "{{route}}")],
                    unit="s",
                    exemplars=True,
                ),
                Panel(
                    title="Time to the first event, 95 %",
                    description="Of streamed answers. Points lead to traces.",
                    queries=[Query(quantile(0.95, "rostra_gateway_first_byte_seconds", by="route"), "{{route}}")],
                    unit="s",
                    exemplars=True,
                    red_above=2.5,
                    alerts=["RostraFirstTokenBudgetBurns"],
                ),
                Panel(
                    title="Calls to services",
                    description="As they ended for the gateway.",
                    queries=[
                        Query(
                            rate("grpc_client_handled_total", by="grpc_service, grpc_code", labels='job="gateway"'),
                            "{{grpc_service}} {{grpc_code}}",
                        )
                    ],
                    unit="reqps",
                ),
            ],
        ),
        Row(
            "Streams and load",
            [
                Panel(
                    title="Requests under way",
                    description="By gateway, streams included. A gateway that has as many as it may have refuses more.",
                    queries=[Query("sum by (pod) (rostra_gateway_requests_under_way{@})", "{{pod}}")],
                    alerts=["RostraGatewayFull"],
                ),
                Panel(
                    title="Open streams",
                    description="By gateway. Uneven for long: clients that keep their connections.",
                    queries=[Query("sum by (pod) (rostra_gateway_open_streams{@})", "{{pod}}")],
                ),
                Panel(
                    title="Broken streams",
                    description="Streams that ended with an error event, by its reason.",
                    queries=[Query(rate("rostra_gateway_broken_streams_total", by="reason"), "{{reason}}")],
                    unit="cps",
                    alerts=["RostraStreamBudgetBurns"],
                    needs="streams that break",
                ),
            ],
        ),
        Row(
            "Limits and callers",
            [
                Panel(
                    title="Refusals by limit",
                    description="429, and 503 for `under_way`: the gateway is full.",
                    queries=[Query(rate("rostra_gateway_refusals_total", by="limit"), "{{limit}}")],
                    unit="reqps",
                    alerts=["RostraLimitRefusals", "RostraGatewayFull"],
                    needs="requests over a limit",
                ),
                Panel(
                    title="Limits counted without Redis",
                    description="Any is bad: pods let through, each for itself, what all may together.",
                    queries=[Query(rate("rostra_gateway_limiter_fallbacks_total", by="pod"), "{{pod}}")],
                    unit="cps",
                    alerts=["RostraLimiterFallback"],
                ),
                Panel(
                    title="Credentials looked up",
                    description="From memory, by signature, or by a call to user.",
                    queries=[Query(rate("rostra_gateway_caller_lookups_total", by="source"), "{{source}}")],
                    unit="cps",
                ),
                Panel(
                    title="Requests with an Idempotency-Key",
                    description="What became of them.",
                    queries=[Query(rate("rostra_gateway_keyed_requests_total", by="outcome"), "{{outcome}}")],
                    unit="reqps",
                    needs="requests with such a key",
                ),
                Panel(
                    title="Requests that are refused",
                    description="Share of all requests that are over a limit.",
                    queries=[Query("namespace:rostra_gateway_refusals:ratio_rate5m{@}", "{{namespace}}")],
                    unit="percentunit",
                    red_above=0.2,
                    alerts=["RostraLimitRefusals"],
                    needs="requests over a limit",
                ),
                Panel(
                    title="Requests whose client left",
                    description="Before anything was answered. Many: answers are too slow for somebody.",
                    queries=[
                        Query(f'sum(rate(rostra_gateway_requests_total{{@, status="499"}}[{PER_SECOND}]))', "left"),
                    ],
                    unit="reqps",
                    needs="clients that leave",
                ),
            ],
        ),
    ],
)
