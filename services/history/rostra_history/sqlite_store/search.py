"""Finding items and titles in SQLite, through the postings that the schema's triggers keep."""

import json
from collections.abc import Sequence

from rostra_history.search import Found, Hit, Rank
from rostra_history.sqlite_store.database import Database
from rostra_history.sqlite_store.rows import page_start, to_conversation, to_item

_COUNT = "SELECT count(*) FROM (SELECT 1 FROM posting WHERE owner = ? AND term = ? LIMIT ?)"
_FIND = """
SELECT found.create_time_us, found.id, coalesce(item.conversation_id, found.id) AS conversation_id
FROM posting AS found LEFT JOIN item ON item.id = found.id
WHERE found.owner = :owner AND found.term = :term AND (found.create_time_us, found.id) < (:create_time_us, :id)
    AND NOT EXISTS (
        SELECT 1 FROM json_each(:other_terms) AS other WHERE NOT EXISTS (
            SELECT 1 FROM posting WHERE posting.owner = found.owner AND posting.term = other.value
                AND posting.create_time_us = found.create_time_us AND posting.id = found.id))
ORDER BY found.create_time_us DESC, found.id DESC LIMIT :limit
"""
# Through the conversation, whose size bounds the work; of postings above `since` there may be any number.
_FOUND_SINCE = """
SELECT asked.value FROM json_each(:conversation_ids) AS asked WHERE EXISTS (
    SELECT 1 FROM (
        SELECT create_time_us, id FROM item WHERE owner = :owner AND conversation_id = asked.value
        UNION ALL
        SELECT create_time_us, id FROM conversation WHERE owner = :owner AND id = asked.value
    ) AS found
    WHERE (found.create_time_us, found.id) >= (:create_time_us, :id) AND NOT EXISTS (
        SELECT 1 FROM json_each(:terms) AS term WHERE NOT EXISTS (
            SELECT 1 FROM posting WHERE posting.owner = :owner AND posting.term = term.value
                AND posting.create_time_us = found.create_time_us AND posting.id = found.id)))
"""
# With a plus, a column leaves the choice of the index to the ids: else all that the owner has would be gone through.
_CONVERSATIONS = "SELECT * FROM conversation WHERE +owner = ? AND id IN (SELECT value FROM json_each(?))"
_ITEMS = """
SELECT * FROM item WHERE +owner = ? AND id IN (SELECT value FROM json_each(?)) AND +conversation_id IS NOT NULL
    AND NOT deleted
"""
_RANK = """
SELECT create_time_us, id FROM item WHERE owner = :owner AND id = :id AND conversation_id IS NOT NULL
UNION ALL SELECT create_time_us, id FROM conversation WHERE owner = :owner AND id = :id
"""
_BEGINNING = Rank(2**63 - 1, "")


class SqliteSearchStore:
    """A `SearchStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, *, owner: str, term: str, at_most: int) -> int:
        """Return how often the owner's items and titles have the term."""
        [row] = await self._database.fetch(_COUNT, (owner, term, at_most))
        return int(row[0])

    async def find(self, *, owner: str, terms: Sequence[str], before: Rank | None, limit: int) -> list[Hit]:
        """Return what has all the terms, newest first."""
        start = before or _BEGINNING
        values = {
            "owner": owner,
            "term": terms[0],
            "other_terms": json.dumps(terms[1:]),
            "create_time_us": start.create_time_us,
            "id": start.id,
            "limit": limit,
        }
        rows = await self._database.fetch(_FIND, values)
        return [Hit(Rank(row["create_time_us"], row["id"]), row["conversation_id"]) for row in rows]

    async def found_since(
        self, *, owner: str, terms: Sequence[str], since: Rank, conversation_ids: Sequence[str]
    ) -> set[str]:
        """Return which of the conversations have a hit of rank `since` or above."""
        values = {
            "owner": owner,
            "terms": json.dumps(terms),
            "conversation_ids": json.dumps(conversation_ids),
            "create_time_us": since.create_time_us,
            "id": since.id,
        }
        return {row[0] for row in await self._database.fetch(_FOUND_SINCE, values)}

    async def load(self, *, owner: str, hits: Sequence[Hit]) -> list[Found]:
        """Return the conversations and the items of the hits."""
        conversation_ids = json.dumps([hit.conversation_id for hit in hits])
        item_ids = json.dumps([hit.rank.id for hit in hits])
        conversations = {
            row["id"]: to_conversation(row)
            for row in await self._database.fetch(_CONVERSATIONS, (owner, conversation_ids))
        }
        items = {row["id"]: to_item(row) for row in await self._database.fetch(_ITEMS, (owner, item_ids))}
        return Found.of(hits, conversations=conversations, items=items)

    async def rank_of(self, *, owner: str, hit_id: str) -> Rank:
        """Return the rank of an item or of a title."""
        return Rank(*page_start(await self._database.fetch(_RANK, {"owner": owner, "id": hit_id})))
