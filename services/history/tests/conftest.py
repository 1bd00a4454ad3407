import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pymongo import monitoring

from rostra_history.documentdb_store import open_documentdb_store
from rostra_history.domain import (
    BranchPoint,
    Conversation,
    ConversationChanges,
    ConversationFilter,
    Item,
    ItemView,
    PageRequest,
    ResponseStatus,
)
from rostra_history.drafts import NewItem
from rostra_history.feedback_service import FeedbackService
from rostra_history.leases import Claim, Job, Lease
from rostra_history.metrics import HistoryMetrics
from rostra_history.queue_service import QueueService
from rostra_history.service import HistoryService
from rostra_history.settings import DatabaseSettings
from rostra_history.share_service import ShareService
from rostra_history.sqlite_store import open_sqlite_store
from rostra_history.store import HistoryStore
from rostra_kit.ids import new_id
from rostra_kit.items import normalise_item
from rostra_kit.testing.manual_clock import ManualClock
from services.history.tests.documentdb_guard import DocumentdbGuard
from support.servers import fresh_database, mongodb_url

__all__ = ["mongodb_url"]

ABANDONED_AFTER_SECONDS = 4200

GUARD = DocumentdbGuard()
# Of all clients that are made from now on.
monitoring.register(GUARD)

OpenStore = Callable[[], AbstractAsyncContextManager[HistoryStore]]


@pytest.fixture(autouse=True)
def documentdb_guard() -> Iterator[DocumentdbGuard]:
    """Hold what the DocumentDB store sends in each test to what Amazon DocumentDB has."""
    yield GUARD
    faults = GUARD.faults()
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="session")
def documentdb_settings(mongodb_url: str) -> Iterator[DatabaseSettings]:
    """One database for all tests: they keep apart by their owners, as users do."""
    with fresh_database(mongodb_url) as url:
        yield DatabaseSettings(url=url)


@pytest.fixture(params=["sqlite", pytest.param("documentdb", marks=pytest.mark.integration)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens one more replica's store on the same data; a test that takes it runs over every implementation."""
    if request.param == "sqlite":
        return partial(open_sqlite_store, tmp_path / "history.db")
    return partial(open_documentdb_store, request.getfixturevalue("documentdb_settings"))


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[HistoryStore]:
    async with open_store() as store:
        await store.ping()
        yield store


@pytest.fixture
def service(store: HistoryStore) -> HistoryService:
    return new_service(store)


@pytest.fixture
def new_user(service: HistoryService) -> Callable[[], "User"]:
    return lambda: User(service)


@pytest.fixture
def user(new_user: Callable[[], "User"]) -> "User":
    return new_user()


@pytest.fixture
def clock() -> ManualClock:
    """The clock of shares and feedback."""
    return ManualClock()


@pytest.fixture
def shares(store: HistoryStore, clock: ManualClock) -> ShareService:
    return ShareService(store=store, metrics=HistoryMetrics(CollectorRegistry()), now_us=clock)


@pytest.fixture
def feedback(store: HistoryStore, clock: ManualClock) -> FeedbackService:
    return FeedbackService(store=store, metrics=HistoryMetrics(CollectorRegistry()), now_us=clock)


@pytest.fixture
def runner_of() -> Callable[[HistoryStore], "Runner"]:
    """Makes a runner on any store."""
    return Runner


@pytest.fixture
def runner(store: HistoryStore, runner_of: Callable[[HistoryStore], "Runner"]) -> "Runner":
    return runner_of(store)


@pytest.fixture
def user_of() -> Callable[..., "User"]:
    """Makes a user of any store, on a service of its own."""
    return lambda store, **arguments: User(new_service(store), **arguments)


def new_service(store: HistoryStore) -> HistoryService:
    """Make a service whose clock never stands still; items that are made at once are a microsecond apart."""
    clock = itertools.count(1_800_000_000_000_000, 100)
    return HistoryService(
        store=store,
        metrics=HistoryMetrics(CollectorRegistry()),
        now_us=lambda: next(clock),
        abandoned_after_us=ABANDONED_AFTER_SECONDS * 1_000_000,
    )


class User:
    """Somebody with texts: says them, and reads them back."""

    def __init__(self, service: HistoryService, *, owner: str = "") -> None:
        self.owner = owner or new_id("user")
        self.service = service

    async def conversation(self, *texts: str) -> str:
        conversation = await self.service.create_conversation(owner=self.owner, metadata={}, items=messages(texts))
        return conversation.id

    async def say(self, conversation_id: str, *texts: str) -> list[Item]:
        return await self.service.create_items(owner=self.owner, conversation_id=conversation_id, items=messages(texts))

    async def change(self, conversation_id: str, **changes) -> Conversation:
        return await self.service.update_conversation(
            owner=self.owner, conversation_id=conversation_id, changes=ConversationChanges(**changes)
        )

    async def title(self, conversation_id: str) -> str:
        conversation = await self.service.get_conversation(owner=self.owner, conversation_id=conversation_id)
        return conversation.title

    async def listed(self, *, after_id: str | None = None, descending: bool = True, **wanted) -> list[str]:
        """Return the names of the conversations on a page."""
        page = PageRequest(limit=100, after_id=after_id, descending=descending)
        listed = await self.service.list_conversations(owner=self.owner, wanted=ConversationFilter(**wanted), page=page)
        return [conversation.id for conversation in listed.elements]

    async def begin(
        self,
        *texts: str,
        previous: str = "",
        conversation: str = "",
        response_id: str = "",
        job: Job | None = None,
        branch_point: BranchPoint | None = None,
        lease_seconds: float | None = None,
    ) -> str:
        response_id = response_id or new_id("resp")
        await self.service.create_response(
            owner=self.owner,
            response_id=response_id,
            previous_response_id=previous,
            conversation_id=conversation,
            body='{"status":"in_progress"}',
            items=new_items(texts),
            job=job,
            branch_point=branch_point,
            lease_us=None if lease_seconds is None else round(lease_seconds * 1_000_000),
        )
        return response_id

    async def queue(self, *texts: str, previous: str = "", conversation: str = "") -> str:
        """Begin in the background; the job tells whose it is."""
        job = Job(b"\x00body\xff", self.owner.encode())
        return await self.begin(*texts, previous=previous, conversation=conversation, job=job)

    async def end(self, response_id: str, *texts: str, status: str = "completed", attempt: int = 0) -> None:
        await self.service.finish_response(
            owner=self.owner,
            response_id=response_id,
            status=ResponseStatus(status),
            body=json.dumps({"status": status}),
            items=new_items(texts),
            attempt=attempt,
        )

    async def turn(self, said: str, answered: str, *, previous: str = "", conversation: str = "") -> str:
        response_id = await self.begin(said, previous=previous, conversation=conversation)
        await self.end(response_id, answered)
        return response_id

    async def context(self, *, previous: str = "", conversation: str = "", response: str = "") -> list[str]:
        loaded = await self.service.load_context(
            owner=self.owner,
            previous_response_id=previous,
            conversation_id=conversation,
            item_ids=[],
            response_id=response,
        )
        return [text_of(item) for item in loaded.items]

    async def branch_point(self, conversation_id: str) -> BranchPoint | None:
        """Load a context, and return the point that it leads to."""
        loaded = await self.service.load_context(
            owner=self.owner, previous_response_id="", conversation_id=conversation_id, item_ids=[]
        )
        return loaded.branch_point

    async def members(self, conversation_id: str, *, view: str = "active_branch") -> list[Item]:
        page = await self.service.list_items(
            owner=self.owner,
            conversation_id=conversation_id,
            view=ItemView(view),
            page=PageRequest(limit=1000, descending=False),
        )
        return page.elements

    async def texts(self, conversation_id: str, *, view: str = "active_branch") -> list[str]:
        return [text_of(item) for item in await self.members(conversation_id, view=view)]

    async def go_to(self, conversation_id: str, text: str | None) -> None:
        """Make the newest item of this text the active one; `None` for none."""
        found = [item.id for item in await self.members(conversation_id, view="all_branches") if text_of(item) == text]
        await self.change(conversation_id, active_item_id="" if text is None else found[-1])

    async def forks(self, conversation_id: str) -> list[tuple[str | None, str]]:
        """Return the texts of each fork: the item followed, and its branches as `first..last`, the active starred."""
        names = {item.id: text_of(item) for item in await self.members(conversation_id, view="all_branches")}
        listed = await self.service.list_forks(owner=self.owner, conversation_id=conversation_id)
        return [
            (
                names[fork.parent_id] if fork.parent_id else None,
                " ".join(
                    f"{'*' * branch.active}{names[branch.item_id]}..{names[branch.leaf_id]}" for branch in fork.branches
                ),
            )
            for fork in listed
        ]

    async def input(self, response_id: str) -> list[Item]:
        page = await self.service.list_input_items(
            owner=self.owner, response_id=response_id, page=PageRequest(limit=1000, descending=False)
        )
        return page.elements

    async def output(self, response_id: str) -> list[str]:
        _, output = await self.service.get_response(owner=self.owner, response_id=response_id)
        return [text_of(item) for item in output]

    async def status(self, response_id: str) -> str:
        response, _ = await self.service.get_response(owner=self.owner, response_id=response_id)
        return response.status.value


class Runner:
    """Somebody who runs responses for everybody, six seconds at a time, by a clock of their own.

    The clock begins a little after that by which users begin responses.
    """

    def __init__(self, store: HistoryStore) -> None:
        self.clock = ManualClock()
        self.metrics = HistoryMetrics(CollectorRegistry())
        self.service = QueueService(queue=store.queue, metrics=self.metrics, now_us=self.clock)

    async def claim(self) -> Claim | None:
        return await self.service.claim(lease_us=6_000_000)

    async def claimed_id(self) -> str | None:
        claim = await self.claim()
        return claim.response.id if claim else None

    async def renew(self, *leases: Lease) -> tuple[list[str], list[str]]:
        """Return which responses are lost, and which to cancel."""
        renewal = await self.service.renew(leases, lease_us=6_000_000)
        return renewal.lost_ids, renewal.cancelled_ids

    async def take_over(self) -> Claim | None:
        """Wait until a lease has ended, and claim."""
        self.clock.advance(seconds=6, microseconds=1)
        return await self.claim()


def messages(texts: Sequence[str]) -> list[dict]:
    return [{"role": "user", "content": text} for text in texts]


def new_items(texts: Sequence[str]) -> list[NewItem]:
    items = [normalise_item(message) for message in messages(texts)]
    return [NewItem(id=item["id"], body=json.dumps(item)) for item in items]


def text_of(item: Item) -> str:
    return json.loads(item.body)["content"][0]["text"]
