"""The guard names what Amazon DocumentDB lacks, what no index finds, and what comes in no order."""

from typing import Any

import pytest

from rostra_history.documentdb_store import open_documentdb_store
from rostra_history.settings import DatabaseSettings
from services.history.tests.documentdb_guard import DocumentdbGuard

INDEXES = [
    {"key": {"owner": 1, "time": 1}, "name": "by_time"},
    {"key": {"run.at": 1}, "name": "by_run", "sparse": True},
]


def faults(name: str, **options: Any) -> list[str]:
    """Return what the guard says of a command on a collection with two indexes."""
    guard = DocumentdbGuard()
    guard.take("createIndexes", {"createIndexes": "things", "indexes": INDEXES})
    assert guard.faults() == []
    guard.take(name, {name: "things", "lsid": 1, "$db": "d", **options})
    return [fault.rpartition("}: ")[2] for fault in guard.faults()]


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (("distinct", {"key": "owner"}), "no such command"),
        (("find", {"filter": {"_id": "a"}, "collation": {}}), "option collation"),
        (("find", {"filter": {"owner": "a", "x": {"$near": 1}}, "limit": 1}), "query operator $near"),
        (
            ("find", {"filter": {"owner": "a", "x": {"$elemMatch": {"$where": "1"}}}, "limit": 1}),
            "query operator $where",
        ),
        (("find", {"filter": {"_id": "a"}, "projection": {"x": {"$meta": "score"}}}), "projection operator $meta"),
        (("find", {"filter": {"owner": "a"}}), "several documents in no order"),
        (("find", {"filter": {"time": 5}, "limit": 1}), "no index to find by"),
        (("find", {"filter": {"owner": {"$ne": "a"}}, "limit": 1}), "no index to find by"),
        (("find", {"filter": {"owner": {"$exists": True}}, "limit": 1}), "no index to find by"),
        (("find", {"filter": {"run.at": 5}, "limit": 1}), "no index to find by"),
        (("find", {"filter": {"$or": [{"owner": "a"}, {"x": 1}]}, "limit": 1}), "no index to find by"),
        (("update", {"updates": [{"q": {"_id": 1}, "u": [{"$set": {"x": 1}}]}]}), "an update by a pipeline"),
        (("update", {"updates": [{"q": {"_id": 1}, "u": {"$pullAny": {"x": 1}}}]}), "update operator $pullAny"),
        (("update", {"updates": [{"q": {"x": 1}, "u": {"$set": {"x": 1}}}]}), "no index to find by"),
        (("update", {"updates": [{"q": {"_id": 1}, "u": {"$push": {"x": {"$first": 1}}}}]}), "modifier $first"),
        (("delete", {"deletes": [{"q": {"_id": 1}, "limit": 0, "hint": "x"}]}), "option hint"),
        (("findAndModify", {"query": {"_id": 1}, "update": {"$set": {}}, "arrayFilters": []}), "option arrayFilters"),
        (("aggregate", {"pipeline": [{"$match": {"owner": 1}}, {"$facet": {}}], "cursor": {}}), "stage $facet"),
        (("aggregate", {"pipeline": [{"$match": {"owner": 1}}], "cursor": {}}), "several documents in no order"),
        (("createIndexes", {"indexes": [{"key": {"x": "hashed"}, "name": "x"}]}), "kind of index hashed"),
        (
            ("createIndexes", {"indexes": [{"key": {"x": 1}, "name": "x", "collation": {}}]}),
            "option of an index collation",
        ),
    ],
)
def test_fault_is_named(command: tuple[str, dict[str, Any]], fault: str) -> None:
    name, options = command
    assert fault in faults(name, **options)


@pytest.mark.parametrize(
    "query",
    [
        {"_id": "a", "x": {"$ne": 1}},
        {"owner": "a", "x": {"$nin": [1]}},
        {"owner": {"$in": ["a", "b"]}},
        {"run.at": {"$exists": True, "$lte": 5}},
        {"owner": "a", "$or": [{"x": 1}, {"y": 2}]},
        {"$or": [{"owner": "a"}, {"_id": "b"}]},
        {"$and": [{"owner": "a"}, {"x": 1}]},
    ],
)
def test_query_that_an_index_finds_is_let_pass(query: dict[str, Any]) -> None:
    assert faults("find", filter=query, sort={"_id": 1}) == []


def test_what_people_wrote_is_no_operator() -> None:
    documents = {"$set": {"metadata": {"$where": "1"}}, "$push": {"texts": {"$each": [{"$where": 1}]}}}
    assert faults("update", updates=[{"q": {"_id": 1}, "u": documents}]) == []


@pytest.mark.integration
async def test_commands_of_the_store_are_seen_and_those_of_tests_are_not(
    documentdb_settings: DatabaseSettings, documentdb_guard: DocumentdbGuard, user_of
) -> None:
    async with open_documentdb_store(documentdb_settings) as store:
        await store.ping()
        documentdb_guard.seen.clear()
        user = user_of(store)
        response_id = await user.begin("q", conversation=await user.conversation("one"))
        await user.end(response_id, "a")
        await store._database.items.distinct("owner")
    assert {"find", "insert", "update", "findAndModify"} <= documentdb_guard.seen
    assert "distinct" not in documentdb_guard.seen
