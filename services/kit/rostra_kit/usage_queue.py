"""The queue of usage events: a Redis Stream that chat fills and the user service empties into its ledger.

Each entry has a serialized `rostra.user.v1.UsageEvent` and, where the call was traced, the `traceparent` of what caused
it. An event may be queued or delivered twice: its id tells the ledger.

Beside it stand the calls under way, whose events are written when their chat is not heard of any more: each event under
its id, and the ids by the millisecond in which they lapse.
"""

USAGE_STREAM = "rostra:usage"
EVENT_FIELD = "event"
CAUSE_FIELD = "traceparent"
CONSUMER_GROUP = "user"
MAX_STREAM_LENGTH = 1_000_000

# The hash tag is the queue's name, so all three are in one slot of Redis Cluster.
OPEN_CALL_EVENTS = f"{{{USAGE_STREAM}}}:open_calls"
OPEN_CALL_LAPSES = f"{{{USAGE_STREAM}}}:open_calls:lapses"
