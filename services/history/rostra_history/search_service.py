"""The use case of finding conversations by their words."""

from collections.abc import Sequence

from rostra_history.domain import Page, PageRequest
from rostra_history.item_text import text_of_body
from rostra_history.search import Found, Hit, Match
from rostra_history.snippet import snippet_of
from rostra_history.store import SearchStore
from rostra_history.terms import terms_of
from rostra_kit.errors import InvalidArgumentError

MAX_QUERY_LENGTH = 256
MAX_QUERY_TERMS = 32

# Beyond, it no longer matters which term is the rarest.
_MOST_COUNTED = 1_000
_HITS_AT_ONCE = 200


class SearchService:
    """Finds the conversations of one owner that have an item, or a title, with all words of a query in it."""

    def __init__(self, store: SearchStore) -> None:
        self._store = store

    async def search(self, *, owner: str, query: str, page: PageRequest) -> Page[Match]:
        """Return a page of matches, the newest of each conversation, newest first.

        Raises:
            InvalidArgumentError: The query has no word, or too many, or no match has the id that the page begins after.
        """
        asked = _terms_of_query(query)
        terms = await self._rarest_first(owner, asked)
        found = await self._newest(owner, terms, page)
        matches = [_match(one, first_term=asked[0]) for one in found]
        return Page.cut(matches, page.limit)

    async def _rarest_first(self, owner: str, terms: Sequence[str]) -> list[str]:
        """Return the terms in the order of how often they occur; none where one of them does not occur."""
        if len(terms) == 1:
            return list(terms)
        counts = {}
        for term in terms:
            counts[term] = await self._store.count(owner=owner, term=term, at_most=_MOST_COUNTED)
            if not counts[term]:
                return []
        return sorted(counts, key=counts.__getitem__)

    async def _newest(self, owner: str, terms: Sequence[str], page: PageRequest) -> list[Found]:
        """Return the newest hit of each conversation: as many as fit on the page, and one more."""
        start = await self._store.rank_of(owner=owner, hit_id=page.after_id) if page.after_id else None
        found: list[Found] = []
        seen: set[str] = set()
        before, is_last = start, not terms
        while not is_last and len(found) <= page.limit:
            hits = await self._store.find(owner=owner, terms=terms, before=before, limit=_HITS_AT_ONCE)
            fresh = _first_of_each(hits, seen)
            if start is not None and fresh:
                shown = await self._store.found_since(
                    owner=owner, terms=terms, since=start, conversation_ids=list(fresh)
                )
                fresh = {name: hit for name, hit in fresh.items() if name not in shown}
            found += await self._load(owner, list(fresh.values()), at_most=page.limit + 1 - len(found))
            is_last = len(hits) < _HITS_AT_ONCE
            before = hits[-1].rank if hits else None
        return found

    async def _load(self, owner: str, hits: list[Hit], *, at_most: int) -> list[Found]:
        """Return what the first hits lead to, passing over those that lead nowhere any more."""
        found: list[Found] = []
        while hits and len(found) < at_most:
            count = at_most - len(found)
            found += await self._store.load(owner=owner, hits=hits[:count])
            hits = hits[count:]
        return found


def _terms_of_query(query: str) -> tuple[str, ...]:
    if len(query) > MAX_QUERY_LENGTH:
        raise InvalidArgumentError(f"A query has at most {MAX_QUERY_LENGTH} characters.", param="query")
    terms = terms_of(query)
    if not terms:
        raise InvalidArgumentError("A query has one word at least.", param="query")
    if len(terms) > MAX_QUERY_TERMS:
        raise InvalidArgumentError(f"A query has at most {MAX_QUERY_TERMS} different words.", param="query")
    return terms


def _first_of_each(hits: Sequence[Hit], seen: set[str]) -> dict[str, Hit]:
    """Return the first hit of each conversation that is not in `seen`, by the conversation's id, and add them there."""
    fresh: dict[str, Hit] = {}
    for hit in hits:
        if hit.conversation_id not in seen:
            seen.add(hit.conversation_id)
            fresh[hit.conversation_id] = hit
    return fresh


def _match(found: Found, *, first_term: str) -> Match:
    text = text_of_body(found.item.body) if found.item else found.conversation.title
    return Match(
        id=found.hit.rank.id,
        conversation=found.conversation,
        item_id=found.item.id if found.item else None,
        snippet=snippet_of(text, first_term),
        create_time_us=found.hit.rank.create_time_us,
    )
