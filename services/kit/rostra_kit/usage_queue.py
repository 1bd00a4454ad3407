"""The queue of usage events: a Redis Stream that chat fills and the user service empties into its ledger.

Each entry has one field, a serialized `rostra.user.v1.UsageEvent`. An event may be queued or delivered twice: its id
tells the ledger.
"""

USAGE_STREAM = "rostra:usage"
EVENT_FIELD = "event"
CONSUMER_GROUP = "user"
