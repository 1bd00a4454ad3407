"""Accounts, sessions and keys, and the tasks that nobody waits for."""

from rostra_observability.boards.calls import calls_row
from rostra_observability.panel import Board, Panel, Query, Row, rate

USER = Board(
    name="user",
    title="User",
    description="Accounts, sessions and keys, and the tasks that nobody waits for.",
    rows=[
        calls_row(
            "user",
            times="Log-ins take a tenth of a second: the hash of a password is to be slow.",
            codes="UNAUTHENTICATED is a wrong password or key.",
        ),
        Row(
            "Accounts",
            [
                Panel(
                    title="Registrations",
                    description="By outcome.",
                    queries=[Query(rate("rostra_user_sign_ups_total", by="outcome"), "{{outcome}}")],
                    unit="cps",
                ),
                Panel(
                    title="Log-ins",
                    description="Many that are refused: somebody guesses.",
                    queries=[Query(rate("rostra_user_log_ins_total", by="outcome"), "{{outcome}}")],
                    unit="cps",
                    alerts=["RostraLogInsRefused"],
                ),
                Panel(
                    title="Refreshes of sessions",
                    description="`reused` ended the session: its token is stolen, or badly kept.",
                    queries=[Query(rate("rostra_user_refreshes_total", by="outcome"), "{{outcome}}")],
                    unit="cps",
                    alerts=["RostraRefreshTokensReused"],
                    needs="sessions that are refreshed",
                ),
            ],
        ),
        Row(
            "Tasks",
            [
                Panel(
                    title="Failed turns of tasks",
                    description="Within an hour. They are tried again.",
                    queries=[
                        Query("sum by (task) (increase(rostra_user_background_failures_total{@}[1h]))", "{{task}}")
                    ],
                    alerts=["RostraBackgroundTaskFails"],
                ),
                Panel(
                    title="Failed erasures",
                    description="Within an hour. Data is kept that was to be deleted.",
                    queries=[Query("sum(increase(rostra_user_erasures_failed_total{@}[1h]))", "failed")],
                    alerts=["RostraErasuresFail"],
                ),
                Panel(
                    title="Revocations",
                    description="`failed`: gateways were not told at once that a key or session has ended.",
                    queries=[Query(rate("rostra_user_revocations_total", by="outcome"), "{{outcome}}")],
                    unit="cps",
                    alerts=["RostraRevocationsFail"],
                    needs="keys or sessions that are ended",
                ),
            ],
        ),
    ],
)
