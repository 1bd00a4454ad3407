import asyncio
from datetime import date, timedelta

import pytest

from rostra_user.domain import UsageBucket
from rostra_user.sql import usage as usage_module
from rostra_user.sql.database import Database
from rostra_user.sql.usage import SqlUsageStore
from rostra_user.testing.records import NOW, a_stored_user, an_event

YEAR = {"start": NOW.replace(month=1), "end": NOW.replace(year=2027)}


@pytest.fixture
def store(database: Database) -> SqlUsageStore:
    return SqlUsageStore(database)


async def test_use_is_summed_by_day_and_model(store: SqlUsageStore, database: Database) -> None:
    user, stranger = await a_stored_user(database), await a_stored_user(database)
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    await store.record(
        [
            an_event(user.id, end_time=midnight),
            an_event(user.id, end_time=midnight + timedelta(days=1) - timedelta(microseconds=1), input_tokens=2**40),
            an_event(user.id, end_time=midnight - timedelta(microseconds=1)),
            an_event(user.id, model="Echo"),
            an_event(stranger.id),
        ]
    )
    buckets = await store.sum_by_day(user.id, **YEAR)
    assert buckets == [
        UsageBucket(
            day=date(2026, 11, 19),
            model="echo",
            requests=1,
            input_tokens=10,
            cached_input_tokens=4,
            output_tokens=5,
            cost_micros=30,
        ),
        UsageBucket(
            day=date(2026, 11, 20),
            model="Echo",
            requests=1,
            input_tokens=10,
            cached_input_tokens=4,
            output_tokens=5,
            cost_micros=30,
        ),
        UsageBucket(
            day=date(2026, 11, 20),
            model="echo",
            requests=2,
            input_tokens=2**40 + 10,
            cached_input_tokens=8,
            output_tokens=10,
            cost_micros=60,
        ),
    ]
    assert all(type(bucket.cost_micros) is int for bucket in buckets)


async def test_range_holds_its_start_and_not_its_end(store: SqlUsageStore, database: Database) -> None:
    user = await a_stored_user(database)
    step = timedelta(microseconds=1)
    await store.record([an_event(user.id, end_time=NOW + n * step, cost_micros=10**n) for n in range(3)])
    assert await store.sum_cost(user.id, start=NOW, end=NOW + 2 * step) == 11
    assert await store.sum_cost(user.id, start=NOW + step, end=NOW + 3 * step) == 110


async def test_nothing_used_costs_nothing(store: SqlUsageStore, database: Database) -> None:
    user = await a_stored_user(database)
    assert await store.sum_cost(user.id, **YEAR) == 0
    assert await store.sum_by_day(user.id, **YEAR) == []


async def test_event_delivered_again_is_billed_once(store: SqlUsageStore, database: Database) -> None:
    user = await a_stored_user(database)
    event = an_event(user.id)
    assert await store.record([event, event]) == 1
    assert await store.record([event]) == 0
    assert await store.sum_cost(user.id, **YEAR) == 30


async def test_batches_that_overlap_at_once_are_billed_once(store: SqlUsageStore, database: Database) -> None:
    user = await a_stored_user(database)
    events = [an_event(user.id) for _ in range(60)]
    batches = [events, events[::-1], events[20:], events[:40], events[30:] + events[:30]]
    counts = await asyncio.gather(*(store.record(batch) for batch in batches))
    assert sum(counts) == 60
    assert await store.sum_cost(user.id, **YEAR) == 60 * 30


async def test_event_of_an_unknown_user_is_left_out(store: SqlUsageStore, database: Database) -> None:
    user = await a_stored_user(database)
    assert await store.record([an_event("user_gone"), an_event(user.id)]) == 1
    assert await store.sum_cost("user_gone", **YEAR) == 0


async def test_empty_batch_records_nothing(store: SqlUsageStore) -> None:
    assert await store.record([]) == 0


async def test_erased_user_has_no_events_left(
    store: SqlUsageStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "_ERASE_BATCH", 4)
    user, stranger = await a_stored_user(database), await a_stored_user(database)
    await store.record([an_event(user.id) for _ in range(10)] + [an_event(stranger.id)])
    await store.erase(user.id)
    await store.erase(user.id)
    assert await store.sum_cost(user.id, **YEAR) == 0
    assert await store.sum_cost(stranger.id, **YEAR) == 30


async def test_cost_of_one_key_is_its_own(store: SqlUsageStore, database: Database) -> None:
    user, stranger = await a_stored_user(database), await a_stored_user(database)
    await store.record(
        [
            an_event(user.id, api_key_id="key_1", cost_micros=1),
            an_event(user.id, api_key_id="key_2", cost_micros=10),
            an_event(stranger.id, api_key_id="key_1", cost_micros=100),
            an_event(user.id, cost_micros=1000),
        ]
    )
    end = NOW + timedelta(seconds=1)
    costs = [await store.sum_cost(user.id, start=NOW, end=end, api_key_id=key) for key in ("key_1", "key_2", "")]
    assert costs == [1, 10, 1011]


async def test_use_of_everybody_is_summed(store: SqlUsageStore, database: Database) -> None:
    day = NOW + timedelta(days=9000)
    users = [await a_stored_user(database) for _ in range(2)]
    await store.record([an_event(user.id, end_time=day, cost_micros=7) for user in users])
    (bucket,) = await store.sum_by_day(None, start=day, end=day + timedelta(days=1))
    assert (bucket.requests, bucket.cost_micros) == (2, 14)
