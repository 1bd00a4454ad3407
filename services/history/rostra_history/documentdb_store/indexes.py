"""The indexes. Each but the queue's begins with the owner, as every query names it. A document's `_id` has its own."""

from rostra_history.documentdb_store.database import Database


async def create_indexes(database: Database) -> None:
    """Create the indexes that are absent, one at a time: the server builds one per collection at once."""
    for name, time in (("by_create_time", "create_time_us"), ("by_update_time", "update_time_us")):
        await database.conversations.create_index([("owner", 1), ("archived", 1), (time, 1), ("_id", 1)], name=name)
    await database.items.create_index([("owner", 1), ("thread_id", 1), ("seq", 1)], name="by_thread")
    await database.items.create_index([("owner", 1), ("conversation_id", 1), ("seq", 1)], name="by_conversation")
    await database.items.create_index(
        [("owner", 1), ("response_id", 1), ("kind", 1), ("position", 1)], name="by_response"
    )
    for found in (database.items, database.conversations):
        await found.create_index([("owner", 1), ("terms", 1), ("create_time_us", 1), ("_id", 1)], name="by_term")
    await database.responses.create_index([("owner", 1), ("thread_id", 1)], name="by_thread")
    await database.responses.create_index([("owner", 1), ("create_time_us", 1), ("_id", 1)], name="by_age")
    # Sparse: most responses have ended, and have no `run`. Amazon DocumentDB uses it for queries that say `$exists`.
    await database.responses.create_index(
        [("run.claim_time_us", 1), ("run.lease_end_us", 1)], name="by_claim_time", sparse=True
    )
    await database.shares.create_index([("owner", 1), ("create_time_us", 1), ("_id", 1)], name="by_age")
    await database.shares.create_index(
        [("owner", 1), ("conversation_id", 1), ("create_time_us", 1), ("_id", 1)], name="by_conversation"
    )
    by_age = [("owner", 1), ("create_time_us", 1), ("_id", 1)]
    await database.chat_completions.create_index(by_age, name="by_age")
    await database.chat_completions.create_index(
        [("owner", 1), ("tags", 1), ("create_time_us", 1), ("_id", 1)], name="by_tag"
    )
