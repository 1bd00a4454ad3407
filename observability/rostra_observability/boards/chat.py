"""Models and providers, background responses and their event logs."""

from rostra_observability.panel import Board, Panel, Query, Row, quantile, quantiles, rate

CHAT = Board(
    name="chat",
    title="Chat and models",
    description="Models and their providers, tokens, background responses and event logs.",
    rows=[
        Row(
            "Models and providers",
            [
                Panel(
                    title="Time to the first token, 95 %",
                    description="From the call of the provider: Rostra's own time is not in it. Points lead to traces.",
                    queries=[
                        Query(quantile(0.95, "rostra_chat_first_token_seconds", by="provider, model"), "{{model}}")
                    ],
                    unit="s",
                    exemplars=True,
                    red_above=8,
                    alerts=["RostraProviderSlow", "RostraFirstTokenBudgetBurns"],
                ),
                Panel(
                    title="Time between tokens",
                    description="Between two reads of a stream.",
                    queries=quantiles("rostra_chat_token_gap_seconds"),
                    unit="s",
                ),
                Panel(
                    title="Calls of providers",
                    description="By model.",
                    queries=[
                        Query(
                            rate("rostra_chat_provider_seconds_count", by="provider, model"), "{{provider}} {{model}}"
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    title="Errors of providers",
                    description="By reason. `provider_rejected`: what a caller asked for was refused, which is nobody's fault here.",
                    queries=[
                        Query(rate("rostra_chat_provider_errors_total", by="provider, kind"), "{{provider}} {{kind}}")
                    ],
                    unit="cps",
                    alerts=["RostraProviderFails"],
                    needs="calls that fail",
                ),
                Panel(
                    title="Share of calls that fail",
                    description="By the provider's fault.",
                    queries=[Query("provider:rostra_chat_provider_errors:ratio_rate5m{@}", "{{provider}}")],
                    unit="percentunit",
                    red_above=0.1,
                    alerts=["RostraProviderFails"],
                    needs="calls that fail",
                ),
                Panel(
                    title="Time of whole calls, 95 %",
                    description="From beginning to end, however they end.",
                    queries=[Query(quantile(0.95, "rostra_chat_provider_seconds", by="model"), "{{model}}")],
                    unit="s",
                    exemplars=True,
                ),
                Panel(
                    title="Open streams",
                    description="Streams of providers being read, by chat replica.",
                    queries=[Query("sum by (pod) (rostra_chat_open_streams{@})", "{{pod}}")],
                ),
                Panel(
                    title="Output tokens",
                    description="Per second, by model.",
                    queries=[
                        Query(rate("rostra_chat_tokens_total", by="model", labels='direction="output"'), "{{model}}")
                    ],
                    unit="cps",
                ),
            ],
        ),
        Row(
            "Background responses",
            [
                Panel(
                    title="Runs",
                    description="Responses that each replica runs.",
                    queries=[Query("sum by (pod) (rostra_chat_background_runs{@})", "{{pod}}")],
                    alerts=["RostraBackgroundBudgetBurns"],
                ),
                Panel(
                    title="Wait for the first runner, 95 %",
                    description="The promise is ten seconds.",
                    queries=[Query(quantile(0.95, "rostra_chat_queue_seconds"), "95%")],
                    unit="s",
                    red_above=10,
                    alerts=["RostraBackgroundBudgetBurns"],
                    needs="background responses",
                ),
                Panel(
                    title="Responses taken over",
                    description="Their runner died or was paused.",
                    queries=[Query(rate("rostra_chat_takeovers_total", by="pod"), "{{pod}}")],
                    unit="cps",
                    alerts=["RostraTakeovers"],
                ),
                Panel(
                    title="Event logs",
                    description="Events written, and round trips needed for them.",
                    queries=[
                        Query(rate("rostra_chat_log_events_total"), "events"),
                        Query(rate("rostra_chat_log_writes_total"), "round trips"),
                    ],
                    unit="cps",
                ),
                Panel(
                    title="Age of unwritten events",
                    description="How long events have waited for a Redis that does not take them. 0 is right.",
                    queries=[Query("max by (pod) (rostra_chat_log_lag_seconds{@})", "{{pod}}")],
                    unit="s",
                    red_above=5,
                    alerts=["RostraEventLogLags", "RostraEventLogDrops"],
                ),
                Panel(
                    title="Followers",
                    description="Clients that follow an event log; each holds a connection to Redis.",
                    queries=[Query("sum by (pod) (rostra_chat_followers{@})", "{{pod}}")],
                    alerts=["RostraRedisConnectionsHigh"],
                ),
            ],
        ),
        Row(
            "Limits",
            [
                Panel(
                    title="Reservations without Redis",
                    description="Counted by one process alone. Any is bad.",
                    queries=[Query(rate("rostra_chat_limiter_fallbacks_total", by="pod"), "{{pod}}")],
                    unit="cps",
                    alerts=["RostraLimiterFallback"],
                ),
                Panel(
                    title="Settlements lost",
                    description="Reservations that Redis never heard the end of; they lapse.",
                    queries=[Query("sum by (pod) (increase(rostra_chat_settlements_lost_total{@}[1h]))", "{{pod}}")],
                    alerts=["RostraSettlementsLost"],
                ),
                Panel(
                    title="Events of logs dropped",
                    description="Ended responses whose last events Redis never took.",
                    queries=[Query("sum by (pod) (increase(rostra_chat_log_drops_total{@}[1h]))", "{{pod}}")],
                    alerts=["RostraEventLogDrops"],
                ),
            ],
        ),
    ],
)
