"""What every store does with stored chat completions."""

import asyncio
import itertools
import json
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from rostra_history.chat_completion_service import ChatCompletionService
from rostra_history.chat_completion_store import ChatCompletion
from rostra_history.domain import PageRequest
from rostra_history.errors import ChatCompletionNotFound
from rostra_history.metrics import HistoryMetrics
from rostra_history.store import HistoryStore
from rostra_kit.errors import AlreadyExistsError, InvalidArgumentError
from rostra_kit.ids import new_id


class Asker:
    """Somebody who has completions stored."""

    def __init__(self, store: HistoryStore, owner: str = "") -> None:
        self.owner = owner or new_id("user")
        self.clock = itertools.count(1_800_000_000_000_000)
        self.service = ChatCompletionService(
            store=store.chat_completions,
            metrics=HistoryMetrics(CollectorRegistry()),
            now_us=lambda: next(self.clock),
        )

    async def store(
        self, completion_id="", *messages: str, models=("m",), metadata: dict | None = None, body: str = "{}"
    ) -> str:
        completion_id = completion_id or new_id("chatcmpl")
        await self.service.create(
            owner=self.owner,
            completion_id=completion_id,
            models=models,
            metadata=metadata or {},
            body=body,
            messages=messages,
        )
        return completion_id

    async def get(self, completion_id: str) -> ChatCompletion:
        return await self.service.get(owner=self.owner, completion_id=completion_id)

    async def update(self, completion_id: str, **metadata: str) -> ChatCompletion:
        return await self.service.update(owner=self.owner, completion_id=completion_id, metadata=metadata)

    async def delete(self, completion_id: str) -> None:
        await self.service.delete(owner=self.owner, completion_id=completion_id)

    async def ids(self, *, limit: int = 100, descending: bool = False, model: str = "", **metadata: str) -> list[str]:
        """Return the names on all pages of a list."""
        seen, after_id, has_more = [], None, True
        while has_more:
            page = PageRequest(limit=limit, after_id=after_id, descending=descending)
            found = await self.service.list(owner=self.owner, page=page, model=model, metadata=metadata)
            assert len(found.elements) <= limit
            seen += [completion.id for completion in found.elements]
            after_id, has_more = seen[-1] if seen else None, found.has_more
        return seen

    async def messages(self, completion_id: str, **page) -> tuple[list[tuple[str, str]], bool]:
        request = PageRequest(**({"limit": 100, "descending": False} | page))
        found = await self.service.list_messages(owner=self.owner, completion_id=completion_id, page=request)
        return [(message.id, message.body) for message in found.elements], found.has_more


@pytest.fixture
def new_asker(store: HistoryStore) -> Callable[..., Asker]:
    return lambda owner="": Asker(store, owner)


@pytest.fixture
def asker(new_asker: Callable[..., Asker]) -> Asker:
    return new_asker()


async def test_stored_completion_is_read_back_at_once_by_another_replica(asker, open_store) -> None:
    metadata = {"$set": "x", "a.b": "", "": "empty", "nul\x00": "\x00", "Zoë 🚢": "\u2028", "=": "=="}
    body = json.dumps({"id": "x", "deep": [[{"$a.b": 2**70}]], "text": "\u2028 Ça 🏛️"}, ensure_ascii=False)
    completion_id = await asker.store("", "one", "two", models=["a", "b"], metadata=metadata, body=body)
    async with open_store() as other:
        reader = Asker(other, asker.owner)
        found = await reader.get(completion_id)
        assert await reader.messages(completion_id) == (
            [(f"{completion_id}-0", "one"), (f"{completion_id}-1", "two")],
            False,
        )
    assert (found.id, found.owner, list(found.models), found.metadata) == (
        completion_id,
        asker.owner,
        ["a", "b"],
        metadata,
    )
    assert (found.body, found.message_count, found.create_time_us) == (body, 2, 1_800_000_000_000_000)


async def test_storing_again_changes_nothing(asker) -> None:
    completion_id = await asker.store("", "one", metadata={"a": "1"}, body='{"n":1}')
    first = await asker.update(completion_id, b="2")
    await asker.store(completion_id, "one", metadata={"a": "1"}, body='{"n":1}')
    assert await asker.get(completion_id) == first
    assert await asker.ids() == [completion_id]


async def test_another_completion_of_the_same_name_is_refused_and_replaces_nothing(asker) -> None:
    await asker.store("chatcmpl-1", "one", body='{"n":1}')
    with pytest.raises(AlreadyExistsError):
        await asker.store("chatcmpl-1", "two", body='{"n":2}')
    assert (await asker.get("chatcmpl-1")).body == '{"n":1}'
    assert await asker.messages("chatcmpl-1") == ([("chatcmpl-1-0", "one")], False)


async def test_parallel_calls_for_one_name_store_it_once(asker) -> None:
    outcomes = await asyncio.gather(
        *(asker.store("chatcmpl-1", str(n), body=f"{n}") for n in range(8)), return_exceptions=True
    )
    assert outcomes.count("chatcmpl-1") == 1
    assert sum(isinstance(outcome, AlreadyExistsError) for outcome in outcomes) == 7
    stored = (await asker.get("chatcmpl-1")).body
    assert await asker.messages("chatcmpl-1") == ([("chatcmpl-1-0", stored)], False)


async def test_name_is_one_owners_only(new_asker) -> None:
    alice, bob = new_asker(), new_asker()
    await alice.store("chatcmpl-1", "hers", body='{"n":1}')
    await bob.store("chatcmpl-1", "his", body='{"n":2}')
    await bob.update("chatcmpl-1", a="b")
    assert (await alice.get("chatcmpl-1")).metadata == {}
    assert await alice.ids(a="b") == []
    assert await alice.messages("chatcmpl-1") == ([("chatcmpl-1-0", "hers")], False)
    await bob.delete("chatcmpl-1")
    assert await alice.ids() == ["chatcmpl-1"]
    assert await bob.ids() == []


async def test_what_is_not_there_is_not_found(new_asker) -> None:
    alice, bob = new_asker(), new_asker()
    hers = await alice.store("", "one")
    for asker, name in ((bob, hers), (alice, "absent"), (alice, "")):
        for attempt in (asker.get, asker.update, asker.delete, asker.messages):
            with pytest.raises(ChatCompletionNotFound):
                await attempt(name)
    assert await bob.ids() == []


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("filters", [{}, {"model": "m"}, {"a": "1"}, {"model": "m", "a": "1", "b": "2"}])
async def test_pages_show_every_completion_once(asker, descending, filters) -> None:
    created = [await asker.store(metadata={"a": "1", "b": "2"}) for _ in range(7)]
    expected = created[::-1] if descending else created
    assert await asker.ids(limit=3, descending=descending, **filters) == expected
    assert await asker.ids(limit=7, descending=descending, **filters) == expected


@pytest.mark.parametrize("filters", [{}, {"a": "1"}])
async def test_completions_of_one_moment_are_paged_by_id(asker, filters) -> None:
    asker.clock = itertools.repeat(1_800_000_000_000_000)
    created = sorted([await asker.store(metadata={"a": "1"}) for _ in range(5)])
    assert await asker.ids(limit=2, **filters) == created
    assert await asker.ids(limit=2, descending=True, **filters) == created[::-1]


async def test_filters_must_all_fit(asker) -> None:
    plain = await asker.store(models=["m", "m-2026"])
    one = await asker.store(models=["m"], metadata={"a": "1"})
    both = await asker.store(models=["other"], metadata={"a": "1", "b": "=1"})
    assert await asker.ids(model="m") == [plain, one]
    assert await asker.ids(model="m-2026") == [plain]
    assert await asker.ids(model="other", a="1") == [both]
    assert await asker.ids(a="1") == [one, both]
    assert await asker.ids(a="1", b="=1") == [both]
    for nothing in ({"model": "a"}, {"a": "2"}, {"a": "1", "b": "1"}, {"b=": "1"}, {"model": "m", "b": "=1"}):
        assert await asker.ids(**nothing) == []


async def test_changed_metadata_is_what_lists_find(asker) -> None:
    completion_id = await asker.store(metadata={"a": "1", "b": "2"})
    changed = await asker.update(completion_id, a="2")
    assert changed.metadata == {"a": "2"}
    assert await asker.get(completion_id) == changed
    assert await asker.ids(a="1") == await asker.ids(b="2") == []
    assert await asker.ids(a="2", model="m") == [completion_id]
    assert (await asker.update(completion_id)).metadata == {}
    assert await asker.ids(a="2") == []
    assert await asker.ids(model="m") == [completion_id]


async def test_parallel_updates_leave_metadata_and_lists_at_one(asker) -> None:
    completion_id = await asker.store()
    await asyncio.gather(*(asker.update(completion_id, n=str(n)) for n in range(8)))
    final = (await asker.get(completion_id)).metadata["n"]
    assert [n for n in map(str, range(8)) if await asker.ids(n=n)] == [final]


async def test_pages_go_on_after_what_lost_its_tag(asker) -> None:
    created = [await asker.store(metadata={"a": "1"}) for _ in range(3)]
    await asker.update(created[0])
    page = PageRequest(limit=5, after_id=created[0], descending=False)
    found = await asker.service.list(owner=asker.owner, page=page, model="", metadata={"a": "1"})
    assert [completion.id for completion in found.elements] == created[1:]


async def test_page_after_what_is_not_there_is_refused(new_asker) -> None:
    alice, bob = new_asker(), new_asker()
    hers = await alice.store("", "one")
    await bob.store("", "one")
    with pytest.raises(InvalidArgumentError) as caught:
        await bob.service.list(owner=bob.owner, page=PageRequest(limit=1, after_id=hers), model="", metadata={})
    assert caught.value.param == "after"
    for after_id in ("x", hers, f"{hers}-1", f"{hers}-01", f"{hers}--1", f"{hers}-²", f"{hers}-{'9' * 5000}", "0"):
        with pytest.raises(InvalidArgumentError) as caught:
            await alice.messages(hers, after_id=after_id)
        assert caught.value.param == "after"


async def test_messages_are_paged_both_ways(asker) -> None:
    completion_id = await asker.store("", *"abcde")
    named = [(f"{completion_id}-{place}", text) for place, text in enumerate("abcde")]
    assert await asker.messages(completion_id, limit=2) == (named[:2], True)
    assert await asker.messages(completion_id, limit=2, after_id=named[1][0]) == (named[2:4], True)
    assert await asker.messages(completion_id, limit=2, after_id=named[3][0]) == (named[4:], False)
    assert await asker.messages(completion_id, limit=5) == (named, False)
    assert await asker.messages(completion_id, after_id=named[4][0]) == ([], False)
    assert await asker.messages(completion_id, limit=3, descending=True) == (named[:1:-1], True)
    rest = await asker.messages(completion_id, limit=3, descending=True, after_id=named[2][0])
    assert rest == (named[1::-1], False)


async def test_completion_without_messages_has_none(asker) -> None:
    assert await asker.messages(await asker.store()) == ([], False)


async def test_deleted_completion_is_gone_from_everywhere(asker) -> None:
    completion_id = await asker.store("", "one", metadata={"a": "1"})
    await asker.delete(completion_id)
    assert await asker.ids() == await asker.ids(a="1") == []
    with pytest.raises(ChatCompletionNotFound):
        await asker.messages(completion_id)
    await asker.store(completion_id, "two", body='{"n":2}')
    assert await asker.messages(completion_id) == ([(f"{completion_id}-0", "two")], False)
    assert await asker.ids(a="1") == []


async def test_everything_of_an_owner_is_deleted(new_asker, store) -> None:
    alice, bob = new_asker(), new_asker()
    hers = await alice.store("chatcmpl-1", "hers", metadata={"a": "1"})
    await bob.store("chatcmpl-1", "his", metadata={"a": "1"})
    for _ in range(2):
        await store.delete_owner(owner=alice.owner)
    assert await alice.ids() == await alice.ids(a="1") == []
    with pytest.raises(ChatCompletionNotFound):
        await alice.get(hers)
    assert await bob.ids(a="1") == ["chatcmpl-1"]


async def test_cancelled_writer_leaves_all_or_nothing(asker) -> None:
    writes = [asyncio.create_task(asker.store(f"chatcmpl-{n}", "one", "two")) for n in range(10)]
    for _ in range(4):
        await asyncio.sleep(0)
    for write in writes:
        write.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    await asker.store("last")
    for completion_id in (await asker.ids())[:-1]:
        assert len((await asker.messages(completion_id))[0]) == 2


async def test_largest_completion_is_stored_and_a_larger_one_refused(asker) -> None:
    most = 15 * 1024 * 1024
    completion_id = await asker.store("", "x" * 1_000_000, body="y" * (most - 1_000_000))
    assert len((await asker.get(completion_id)).body) == most - 1_000_000
    with pytest.raises(InvalidArgumentError, match="cannot be stored"):
        await asker.store("", "x" * 1_000_000, body="ÿ" * (most // 2 - 499_999))


async def test_page_too_large_for_one_message_ends_early(asker) -> None:
    created = [await asker.store("", body="y" * 5_000_000) for _ in range(4)]
    page = PageRequest(limit=4, descending=False)
    found = await asker.service.list(owner=asker.owner, page=page, model="", metadata={})
    assert ([completion.id for completion in found.elements], found.has_more) == (created[:2], True)
    assert await asker.ids(limit=4) == created


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"metadata": {"k" * 65: ""}}, "metadata"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"completion_id": "x" * 129}, "completion.id"),
        ({"models": ["a", "b", "c"]}, "completion.models"),
    ],
)
async def test_what_is_out_of_bounds_is_refused(asker, wrong, param) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await asker.store(**wrong)
    assert caught.value.param == param
    assert await asker.ids() == []
