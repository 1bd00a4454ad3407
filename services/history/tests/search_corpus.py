"""Conversations made by a list of steps, in a store and in memory, to be searched in both."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from rostra_history.domain import ConversationChanges, Page, PageRequest
from rostra_history.search import Match
from rostra_history.search_service import SearchService
from rostra_history.store import HistoryStore
from rostra_history.terms import terms_of

WORDS = ("rome", "ROMÉ", "ships", "Straße", "strasse", "東京", "東京都", "мир", "42", "!")
OWNERS = 2

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
owners = st.integers(0, OWNERS - 1)
places = st.integers(0, 5)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), owners, st.lists(texts, max_size=3)),
        st.tuples(st.just("say"), owners, places, st.lists(texts, min_size=1, max_size=3)),
        st.tuples(
            st.just("turn"), owners, places, texts, texts, st.sampled_from(["completed", "incomplete", "failed"])
        ),
        st.tuples(st.just("chain"), owners, texts, texts),
        st.tuples(st.just("rename"), owners, places, texts),
        st.tuples(st.just("delete_item"), owners, places, places),
        st.tuples(st.just("delete_conversation"), owners, places),
        st.tuples(st.just("delete_owner"), owners),
    ),
    max_size=20,
)
queries = st.lists(st.sampled_from([word for word in WORDS if word != "!"]), min_size=1, max_size=3).map(" ".join)


@dataclass
class Said:
    """An item, or a conversation whose text is its title."""

    id: str
    time_us: int
    text: str


class Corpus:
    """Does the steps by a user's calls, and keeps what should be left.

    Attributes:
        labels: The name that each id has in all corpora of the same steps.
    """

    def __init__(self, store: HistoryStore, new_user: Callable[..., Any]) -> None:
        self.users = [new_user(store) for _ in range(OWNERS)]
        self.search = SearchService(store.search)
        self.labels: dict[str, str] = {}
        self._conversations: list[dict[str, list[Said]]] = [{} for _ in self.users]

    async def run(self, all_steps: Sequence[tuple[Any, ...]], *, now_us: Callable[[], int] | None = None) -> None:
        for user in self.users:
            user.service._now_us = now_us or user.service._now_us
        for name, owner, *arguments in all_steps:
            await getattr(self, f"_{name}")(owner, *arguments)

    async def find(self, owner: int, query: str, *, limit: int) -> list[Match]:
        """Return the matches of all pages."""
        matches: list[Match] = []
        page: Page[Match] = Page([], has_more=True)
        while page.has_more:
            after_id = matches[-1].id if matches else None
            page = await self.search.search(
                owner=self.users[owner].owner, query=query, page=PageRequest(limit=limit, after_id=after_id)
            )
            assert len(page.elements) == limit or not page.has_more
            matches += page.elements
        return matches

    def expected(self, owner: int, query: str) -> list[tuple[str, str]]:
        """Return what should be found, by looking at everything: conversation and hit, newest first."""
        wanted = set(terms_of(query))
        newest = []
        for conversation_id, said in self._conversations[owner].items():
            hits = [(one.time_us, one.id) for one in said if wanted <= set(terms_of(one.text))]
            if hits:
                newest.append((*max(hits), conversation_id))
        return [(conversation_id, hit_id) for _, hit_id, conversation_id in sorted(newest, reverse=True)]

    async def _create(self, owner: int, said: list[str]) -> None:
        user = self.users[owner]
        conversation = await user.service.get_conversation(
            owner=user.owner, conversation_id=await user.conversation(*said)
        )
        title = Said(conversation.id, conversation.create_time_us, "")
        self.labels[conversation.id] = f"conversation {len(self.labels)}"
        self._conversations[owner][conversation.id] = [title]
        await self._learn(owner, conversation.id)

    async def _say(self, owner: int, place: int, said: list[str]) -> None:
        if conversation_id := self._at(owner, place):
            await self.users[owner].say(conversation_id, *said)
            await self._learn(owner, conversation_id)

    async def _turn(self, owner: int, place: int, said: str, answered: str, status: str) -> None:
        if conversation_id := self._at(owner, place):
            response_id = await self.users[owner].begin(said, conversation=conversation_id)
            await self.users[owner].end(response_id, answered, status=status)
            await self._learn(owner, conversation_id)

    async def _chain(self, owner: int, said: str, answered: str) -> None:
        await self.users[owner].turn(said, answered)

    async def _rename(self, owner: int, place: int, title: str) -> None:
        if conversation_id := self._at(owner, place):
            user = self.users[owner]
            await user.service.update_conversation(
                owner=user.owner, conversation_id=conversation_id, changes=ConversationChanges(title=title)
            )
            self._conversations[owner][conversation_id][0].text = title

    async def _delete_item(self, owner: int, place: int, index: int) -> None:
        conversation_id = self._at(owner, place)
        items = self._conversations[owner].get(conversation_id, [])[1:]
        if items:
            item, user = items[index % len(items)], self.users[owner]
            await user.service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
            self._conversations[owner][conversation_id].remove(item)

    async def _delete_conversation(self, owner: int, place: int) -> None:
        if conversation_id := self._at(owner, place):
            user = self.users[owner]
            await user.service.delete_conversation(owner=user.owner, conversation_id=conversation_id)
            del self._conversations[owner][conversation_id]

    async def _delete_owner(self, owner: int) -> None:
        await self.users[owner].service.delete_user_data(owner=self.users[owner].owner)
        self._conversations[owner].clear()

    def _at(self, owner: int, place: int) -> str:
        names = list(self._conversations[owner])
        return names[place % len(names)] if names else ""

    async def _learn(self, owner: int, conversation_id: str) -> None:
        """Take over which members the conversation has: others than search's tests see to that."""
        title = self._conversations[owner][conversation_id][0]
        user = self.users[owner]
        title.text = (await user.service.get_conversation(owner=user.owner, conversation_id=conversation_id)).title
        members = await user.members(conversation_id)
        for item in members:
            self.labels.setdefault(item.id, f"item {len(self.labels)}")
        self._conversations[owner][conversation_id] = [
            title,
            *(Said(item.id, item.create_time_us, json.loads(item.body)["content"][0]["text"]) for item in members),
        ]
