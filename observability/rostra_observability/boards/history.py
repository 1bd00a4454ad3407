"""What is stored and loaded."""

from rostra_observability.boards.calls import calls_row
from rostra_observability.panel import Board, Panel, Query, Row, quantile, rate

_JOB = 'job="history"'

HISTORY = Board(
    name="history",
    title="History",
    description="What is stored and loaded, and the queue of background responses.",
    rows=[
        calls_row(
            "history",
            times="Of unary calls and streams.",
            codes="NOT_FOUND is what callers ask for; UNAVAILABLE is the database.",
        ),
        Row(
            "What is stored",
            [
                Panel(
                    title="Items stored",
                    description="By where they come from.",
                    queries=[Query(rate("rostra_history_items_stored_total", by="source"), "{{source}}")],
                    unit="cps",
                ),
                Panel(
                    title="Items of a loaded context",
                    description="Long contexts are slow to load and dear to answer.",
                    queries=[
                        Query(quantile(0.5, "rostra_history_context_items"), "50%"),
                        Query(quantile(0.95, "rostra_history_context_items"), "95%"),
                    ],
                ),
                Panel(
                    title="Characters of a loaded context",
                    description="About four make a token of English.",
                    queries=[
                        Query(quantile(0.5, "rostra_history_context_characters"), "50%"),
                        Query(quantile(0.95, "rostra_history_context_characters"), "95%"),
                    ],
                ),
                Panel(
                    title="Conversations and completions",
                    description="Created, and stored, per second.",
                    queries=[
                        Query(rate("rostra_history_conversations_created_total"), "conversations"),
                        Query(rate("rostra_history_chat_completions_stored_total"), "chat completions"),
                        Query(rate("rostra_history_shares_created_total"), "shares"),
                    ],
                    unit="cps",
                ),
                Panel(
                    title="Responses ended",
                    description="By how.",
                    queries=[Query(rate("rostra_history_responses_finished_total", by="status"), "{{status}}")],
                    unit="cps",
                ),
                Panel(
                    title="Responses given to runners",
                    description="`lease_ended`: a runner died. `abandoned`: whoever answered in the foreground died.",
                    queries=[Query(rate("rostra_history_responses_claimed_total", by="reason"), "{{reason}}")],
                    unit="cps",
                    alerts=["RostraTakeovers"],
                    needs="background responses",
                ),
            ],
        ),
        Row(
            "Queue and database",
            [
                Panel(
                    title="Background responses: wait for a runner",
                    description="The promise is ten seconds.",
                    queries=[
                        Query(quantile(0.5, "rostra_history_queue_seconds"), "50%"),
                        Query(quantile(0.99, "rostra_history_queue_seconds"), "99%"),
                    ],
                    unit="s",
                    red_above=10,
                    alerts=["RostraBackgroundBudgetBurns"],
                    needs="background responses",
                ),
                Panel(
                    title="Time of database operations, 95 %",
                    description="Statements of the embedded store, or DocumentDB's commands.",
                    queries=[
                        Query(quantile(0.95, "rostra_database_seconds", by="operation", labels=_JOB), "{{operation}}")
                    ],
                    unit="s",
                    red_above=0.5,
                    alerts=["RostraDatabaseSlow"],
                ),
                Panel(
                    title="Database operations",
                    description="Per second.",
                    queries=[
                        Query(rate("rostra_database_seconds_count", by="operation", labels=_JOB), "{{operation}}")
                    ],
                    unit="ops",
                ),
            ],
        ),
    ],
)
