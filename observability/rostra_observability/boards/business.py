"""Who uses Rostra, how much of it, and what it costs."""

from rostra_observability.panel import Board, Panel, Query, Row, rate

# The catalogue's prices are in millionths of its currency unit.
_UNIT = "1e6"

BUSINESS = Board(
    name="business",
    title="Business and cost",
    description="Who uses Rostra, how much of it, what it costs, and whether all of it is billed.",
    rows=[
        Row(
            "Use",
            [
                Panel(
                    title="Active users",
                    description="Seen by any gateway in the last quarter of an hour, and in a day.",
                    queries=[Query("max by (namespace, window) (rostra_gateway_active_users{@})", "{{window}}")],
                ),
                Panel(
                    title="Tokens by model",
                    description="Input and output, per second.",
                    queries=[Query(rate("rostra_chat_tokens_total", by="model, direction"), "{{model}} {{direction}}")],
                    unit="cps",
                    stacked=True,
                ),
                Panel(
                    title="New accounts",
                    description="Within a day.",
                    queries=[Query('sum(increase(rostra_user_sign_ups_total{@, outcome="created"}[1d]))', "accounts")],
                ),
                Panel(
                    title="Opinions on answers",
                    description="By rating, within a day.",
                    queries=[
                        Query("sum by (rating) (increase(rostra_history_feedback_given_total{@}[1d]))", "{{rating}}")
                    ],
                    needs="opinions that are given",
                ),
                Panel(
                    title="Conversations",
                    description="Created within a day.",
                    queries=[
                        Query("sum(increase(rostra_history_conversations_created_total{@}[1d]))", "conversations")
                    ],
                ),
                Panel(
                    title="Shares",
                    description="Created within a day.",
                    queries=[Query("sum(increase(rostra_history_shares_created_total{@}[1d]))", "shares")],
                ),
            ],
        ),
        Row(
            "Cost",
            [
                Panel(
                    title="Cost per hour",
                    description="In the catalogue's currency unit, by model, at the rate of now.",
                    queries=[
                        Query(f"3600 * {rate('rostra_chat_cost_micros_total', by='model')} / {_UNIT}", "{{model}}"),
                    ],
                    stacked=True,
                ),
                Panel(
                    title="Cost of a day",
                    description="In the catalogue's currency unit, by provider.",
                    queries=[
                        Query(
                            f"sum by (provider) (increase(rostra_chat_cost_micros_total{{@}}[1d])) / {_UNIT}",
                            "{{provider}}",
                        )
                    ],
                ),
                Panel(
                    title="Cost of a thousand tokens",
                    description="Input and output together, by model.",
                    queries=[
                        Query(
                            f"1000 * {rate('rostra_chat_cost_micros_total', by='model')} / {_UNIT} "
                            f"/ {rate('rostra_chat_tokens_total', by='model')}",
                            "{{model}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Is all of it billed?",
            [
                Panel(
                    title="Usage events",
                    description="`skipped` are known already. `bad` cannot be read.",
                    queries=[Query(rate("rostra_user_usage_events_total", by="outcome"), "{{outcome}}")],
                    unit="cps",
                    alerts=["RostraUsageEventsBad"],
                ),
                Panel(
                    title="Lag of the ledger",
                    description="Age of the oldest event of the last batch.",
                    queries=[Query("max by (namespace) (rostra_user_usage_queue_lag_seconds{@})", "{{namespace}}")],
                    unit="s",
                    red_above=120,
                    alerts=["RostraLedgerLags"],
                ),
                Panel(
                    title="Usage that waits",
                    description="In Redis for the ledger, and in chat for Redis. The queue holds a million.",
                    queries=[
                        Query("max by (namespace) (rostra_user_usage_queue_entries{@})", "in the queue"),
                        Query("sum by (namespace) (rostra_chat_usage_events_waiting{@})", "in chat"),
                    ],
                    alerts=["RostraLedgerQueueLong", "RostraUsageEventsWait"],
                ),
                Panel(
                    title="Usage lost",
                    description="Within a day. Any is money.",
                    queries=[Query("sum(increase(rostra_chat_usage_events_lost_total{@}[1d]))", "events")],
                    red_above=1,
                    alerts=["RostraUsageEventsLost"],
                ),
                Panel(
                    title="Calls billed for others",
                    description="Within a day: their process was gone.",
                    queries=[Query("sum(increase(rostra_chat_calls_billed_for_others_total{@}[1d]))", "calls")],
                ),
            ],
        ),
    ],
)
