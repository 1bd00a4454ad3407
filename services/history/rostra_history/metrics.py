"""What the history service counts beyond its RPCs. All labels are bounded."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_CONTEXT_ITEMS = (0, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
_CONTEXT_CHARACTERS = tuple(4**power for power in range(5, 14))  # 1,024 to 67 million

_QUEUE_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800)


class HistoryMetrics:
    """Counts what is stored and measures what is loaded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.conversations_created = Counter(
            "rostra_history_conversations_created", "Conversations created.", registry=registry
        )
        self.items_stored = Counter(
            "rostra_history_items_stored",
            "Items stored, by where they come from: created directly, imported, a response's input or its output.",
            ["source"],
            registry=registry,
        )
        self.feedback_given = Counter(
            "rostra_history_feedback_given",
            "Opinions on items, also those that took the place of earlier ones, by rating.",
            ["rating"],
            registry=registry,
        )
        self.shares_created = Counter("rostra_history_shares_created", "Shares created.", registry=registry)
        self.responses_finished = Counter(
            "rostra_history_responses_finished",
            "Calls that ended a response, by how; a repeated call may count again.",
            ["status"],
            registry=registry,
        )
        self.responses_claimed = Counter(
            "rostra_history_responses_claimed",
            "Responses given to runners, by why they waited: queued, lease_ended (a runner died), abandoned (in the "
            "foreground).",
            ["reason"],
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "rostra_history_queue_seconds",
            "Time that background responses waited for their first runner.",
            buckets=_QUEUE_SECONDS,
            registry=registry,
        )
        self.chat_completions_stored = Counter(
            "rostra_history_chat_completions_stored",
            "Calls that stored a chat completion; a repeated call counts again.",
            registry=registry,
        )
        self.context_items = Histogram(
            "rostra_history_context_items",
            "Items in a loaded context.",
            buckets=_CONTEXT_ITEMS,
            registry=registry,
        )
        self.context_characters = Histogram(
            "rostra_history_context_characters",
            "Characters in the bodies of a loaded context.",
            buckets=_CONTEXT_CHARACTERS,
            registry=registry,
        )
