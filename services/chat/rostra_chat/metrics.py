"""What chat measures. Labels name known models and providers only, never what a client sent."""

from prometheus_client import CollectorRegistry

from rostra_kit.telemetry.instruments import Counter, Gauge, Histogram

_FIRST_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)
_GAP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_QUEUE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class ChatMetrics:
    """The instruments of chat."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.first_token_seconds = Histogram(
            "rostra_chat_first_token_seconds",
            "Time from the call of the provider to the first piece of its stream.",
            ["provider", "model"],
            buckets=_FIRST_TOKEN_SECONDS,
            registry=registry,
        )
        self.token_gap_seconds = Histogram(
            "rostra_chat_token_gap_seconds",
            "Time between two reads of a provider's stream.",
            ["provider"],
            buckets=_GAP_SECONDS,
            registry=registry,
        )
        self.provider_seconds = Histogram(
            "rostra_chat_provider_seconds",
            "Time of a provider's call, from beginning to end, however it ends.",
            ["provider", "model"],
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self.open_streams = Gauge(
            "rostra_chat_open_streams", "Streams of a provider being read.", ["provider"], registry=registry
        )
        self.provider_errors = Counter(
            "rostra_chat_provider_errors", "Calls of a provider that failed.", ["provider", "kind"], registry=registry
        )
        self.tokens = Counter(
            "rostra_chat_tokens", "Tokens settled.", ["direction", "provider", "model"], registry=registry
        )
        self.cost_micros = Counter(
            "rostra_chat_cost_micros",
            "Money settled, in millionths of the catalogue's currency unit.",
            ["provider", "model"],
            registry=registry,
        )
        self.limiter_fallbacks = Counter(
            "rostra_chat_limiter_fallbacks", "Reservations counted by this process alone.", registry=registry
        )
        self.settlements_lost = Counter(
            "rostra_chat_settlements_lost", "Settlements that Redis never took.", registry=registry
        )
        self.usage_events_lost = Counter(
            "rostra_chat_usage_events_lost", "Usage events that the ledger will never see.", registry=registry
        )
        self.usage_events_waiting = Gauge(
            "rostra_chat_usage_events_waiting", "Usage events that wait for Redis.", registry=registry
        )
        self.calls_billed_for_others = Counter(
            "rostra_chat_calls_billed_for_others", "Calls billed whose process was gone.", registry=registry
        )
        self._add_background(registry)

    def _add_background(self, registry: CollectorRegistry) -> None:
        self.background_runs = Gauge(
            "rostra_chat_background_runs", "Background responses that this process runs.", registry=registry
        )
        self.queue_seconds = Histogram(
            "rostra_chat_queue_seconds",
            "Time that background responses waited for their first runner.",
            buckets=_QUEUE_SECONDS,
            registry=registry,
        )
        self.takeovers = Counter(
            "rostra_chat_takeovers", "Background responses taken over from another runner.", registry=registry
        )
        self.followers = Gauge("rostra_chat_followers", "Clients that follow an event log.", registry=registry)
        self.log_writes = Counter("rostra_chat_log_writes", "Round trips that wrote to event logs.", registry=registry)
        self.log_events = Counter("rostra_chat_log_events", "Events written to event logs.", registry=registry)
        self.log_drops = Counter(
            "rostra_chat_log_drops", "Ended responses whose last events Redis never took.", registry=registry
        )
        self.log_lag_seconds = Gauge(
            "rostra_chat_log_lag_seconds",
            "How long events have waited for a Redis that does not take them; 0 while it does.",
            registry=registry,
        )
