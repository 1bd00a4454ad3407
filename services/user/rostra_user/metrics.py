"""The metrics of the user service. Labels have few values, and never ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class UserMetrics:
    """Counts what happens to accounts, credentials and the ledger."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sign_ups = Counter(
            "rostra_user_sign_ups", "Registrations by outcome: created, taken, closed.", ["outcome"], registry=registry
        )
        self.log_ins = Counter(
            "rostra_user_log_ins", "Log-ins by outcome: ok, refused.", ["outcome"], registry=registry
        )
        self.refreshes = Counter(
            "rostra_user_refreshes",
            "Refresh tokens presented, by outcome: ok, refused, reused (which ended the session).",
            ["outcome"],
            registry=registry,
        )
        self.revocations = Counter(
            "rostra_user_revocations", "Revocations by outcome: published, failed.", ["outcome"], registry=registry
        )
        self.usage_events = Counter(
            "rostra_user_usage_events",
            "Usage events by outcome: recorded, skipped (known already, or of a deleted user), bad.",
            ["outcome"],
            registry=registry,
        )
        self._begin_at_zero()
        self.usage_queue_entries = Gauge(
            "rostra_user_usage_queue_entries", "Usage events that wait in the queue.", registry=registry
        )
        self.usage_queue_lag_seconds = Gauge(
            "rostra_user_usage_queue_lag_seconds", "Age of the oldest event of the last batch.", registry=registry
        )
        self.erasures_failed = Counter(
            "rostra_user_erasures_failed", "Erasures of deleted accounts that must be tried again.", registry=registry
        )
        self.background_failures = Counter(
            "rostra_user_background_failures", "Failed turns of a background task.", ["task"], registry=registry
        )
        self.database_connections = Gauge(
            "rostra_user_database_connections",
            "Connections of this replica to the primary database, by state: busy, idle.",
            ["state"],
            registry=registry,
        )
        self.database_connections_limit = Gauge(
            "rostra_user_database_connections_limit", "The most connections that there may be.", registry=registry
        )
        self.database_wait_seconds = Histogram(
            "rostra_user_database_wait_seconds",
            "Time until a transaction had a live connection, or was refused one.",
            buckets=(0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.replica_reads = Counter(
            "rostra_user_replica_reads",
            "Reads that the replica could answer, by who did: replica, primary (the replica failed).",
            ["outcome"],
            registry=registry,
        )

    def _begin_at_zero(self) -> None:
        """Show what has not happened yet: Prometheus sees no increase in a series that begins with its first event."""
        for outcome in ("ok", "refused"):
            self.log_ins.labels(outcome)
        for outcome in ("ok", "refused", "reused"):
            self.refreshes.labels(outcome)
        for outcome in ("published", "failed"):
            self.revocations.labels(outcome)
        for outcome in ("recorded", "skipped", "bad"):
            self.usage_events.labels(outcome)
