"""What the history service asks of a database. There are two implementations, on SQLite and on Amazon DocumentDB.

For all methods of all stores:

- `owner` is part of every query: what another user owns is, for the asker, not there. Only what serves runners, who
  work for everybody, and whoever reads what is shared, is asked without an owner.
- What a method has returned is durable, and every later call sees it, through any replica.
- Writes run to their end even when the caller is cancelled; a cancelled caller does not know how they ended.
- A database that cannot be reached raises `UnavailableError`; no error of a driver gets out.
- Bodies, metadata, titles and ids come back exactly as they went in, whatever characters are in them.
- A page whose `after_id` names no element of the list raises `InvalidArgumentError` for `after`.
"""

from collections.abc import Sequence
from typing import Protocol

from rostra_history.chat_completion_store import ChatCompletionStore
from rostra_history.domain import (
    Conversation,
    ConversationChanges,
    ConversationFilter,
    Item,
    Page,
    PageRequest,
    Response,
)
from rostra_history.feedback_store import FeedbackStore
from rostra_history.leases import Claim, Job, Lease, Renewal
from rostra_history.search import Found, Hit, Rank
from rostra_history.share_store import ShareStore
from rostra_history.thread import Link


class ConversationStore(Protocol):
    """Keeps conversations."""

    async def create(self, conversation: Conversation, items: Sequence[Item]) -> None:
        """Store a new conversation with its first items, which are placed.

        Its leaf is the last item, or, with a switch counted, any of them or none. The conversation is seen with all of
        its items or not at all, however many they are.
        """

    async def get(self, *, owner: str, conversation_id: str) -> Conversation:
        """Return the conversation, or raise `ConversationNotFound`."""

    async def list_page(self, *, owner: str, wanted: ConversationFilter, page: PageRequest) -> Page[Conversation]:
        """Return a page of the owner's conversations by the time that `wanted` names, then id.

        The page begins after the place that the conversation `after_id` has now, whether it is wanted itself or not:
        a client may archive what it pages through.
        """

    async def update(
        self, *, owner: str, conversation_id: str, changes: ConversationChanges, now_us: int
    ) -> Conversation:
        """Change what is given, all of it at once, and return the outcome.

        To make another item active than the one that is counts as a switch.

        Raises:
            ConversationNotFound: There is none.
            ItemNotFound: The item to be made active is no member, or is deleted; then nothing is changed.
        """

    async def name(self, *, owner: str, conversation_id: str, title: str, now_us: int) -> None:
        """Give the conversation a title if it has none; one that has, or is not there, stays as it is."""

    async def delete(self, *, owner: str, conversation_id: str) -> None:
        """Delete the conversation, its shares, and all items and responses of its thread.

        A response that has not ended and its items are spared: whoever runs it can still finish it, and gets what was
        paid.

        Raises:
            ConversationNotFound: There is none.
        """


class ItemStore(Protocol):
    """Keeps items."""

    async def append(self, *, owner: str, conversation_id: str, items: Sequence[Item], now_us: int) -> list[Item]:
        """Append items, not placed yet, to the conversation as one path; return them placed.

        Items of parallel calls do not mix: those of one call follow one another.

        Raises:
            ConversationNotFound: There is none.
        """

    async def get(self, *, owner: str, conversation_id: str, item_id: str) -> Item:
        """Return a member of the conversation, or raise `ItemNotFound`."""

    async def list_page(self, *, owner: str, conversation_id: str, end_seq: int, page: PageRequest) -> Page[Item]:
        """Return a page of the conversation's members of rank below `end_seq`, by rank; an unknown one has none.

        A deleted item is not shown, but still serves as `after_id`: a client may delete what it pages through.
        """

    async def get_many(self, *, owner: str, item_ids: Sequence[str]) -> list[Item]:
        """Return those of the owner's items of these ids that are there, wherever that is, in this order."""

    async def delete(self, *, owner: str, conversation_id: str, item_id: str, now_us: int) -> Conversation:
        """Replace a member by a tombstone, and return its conversation.

        Later items keep their parent, so neither a context nor a parallel append can break; the body, and the feedback
        with it, is gone for good.
        Where it was the active item, the nearest one before it that is shown becomes that, which is no switch.

        Raises:
            ItemNotFound: It is not in this conversation, or is deleted already.
            ConversationNotFound: There is none.
        """

    async def load_thread(self, *, owner: str, thread_id: str, end_seq: int) -> list[Item]:
        """Return the thread's placed items of rank below `end_seq`, tombstones too, sorted by rank: one query.

        Where places of a conversation were reserved and are empty, a tombstone stands for the last of them
        (`rostra_history.thread.whole_path_to`).
        """

    async def load_links(self, *, owner: str, conversation_id: str, end_seq: int) -> list[Link]:
        """Return the conversation's members of rank below `end_seq`, as `load_thread` does, but without bodies."""


class ResponseStore(Protocol):
    """Keeps responses and their items."""

    async def create(
        self, response: Response, items: Sequence[Item], *, claim_time_us: int, job: Job | None = None
    ) -> None:
        """Store a response that is queued or in progress, with its input; one that is there already stays as it is.

        The response is seen with all of its input or not at all.

        Args:
            response: The response.
            items: The input.
            claim_time_us: From when on runners may claim it, if it has not ended: at once when it is queued.
            job: What they need to run it.

        Raises:
            AlreadyExistsError: The id of the response, or of an item, is taken by something else.
        """

    async def get(self, *, owner: str, response_id: str) -> Response:
        """Return the response, or raise `ResponseNotFound`."""

    async def list_page(self, *, owner: str, page: PageRequest) -> Page[Response]:
        """Return a page of the owner's responses by creation time, then id."""

    async def list_output(self, *, owner: str, response_id: str) -> list[Item]:
        """Return the output of a response that has ended, in order, without tombstones; an unknown one has none."""

    async def list_input_page(self, *, owner: str, response_id: str, page: PageRequest) -> Page[Item]:
        """Return a page of the response's input by position; an unknown response has none.

        A deleted item is not shown, but still serves as `after_id`.
        """

    async def finish(self, response: Response, output: Sequence[Item], *, now_us: int) -> None:
        """End the stored response as `response` says, with this output; one that has ended already stays as it is.

        A response that joins its conversation is appended there; but when there was a switch since it was created, it
        follows the item that was active then, and the active item stays.

        However many calls are made at once, exactly one decides how the response ends and what its output is. The new
        status is seen only together with the output, and, for a response that joins its conversation, only once input
        and output are members of it. A conversation that was deleted is not missed. The queue forgets the response.

        Args:
            response: The response with its final status and body, its path unless it joins a conversation, and the
                attempt that ends it.
            output: The items; placed, unless the response was made in a conversation.
            now_us: When the conversation changed.

        Raises:
            ResponseNotFound: The response was deleted.
            LeaseLost: The attempt is not the present one, or it is queued; also when another one has ended it.
        """

    async def delete(self, *, owner: str, response_id: str) -> None:
        """Delete the response, and the items of its thread that nobody needs any more, or raise `ResponseNotFound`.

        An item is needed while it is in a conversation, its response exists, or a response that continues it exists
        (`rostra_history.thread.unneeded`): no context ever loses an item, and the last one out takes the rest along.
        """


class ResponseQueue(Protocol):
    """Gives responses that have not ended to runners, whoever owns them, each to one runner at a time.

    A response is there from its creation until it ends or is deleted. `now_us` is the time on the clock of the caller,
    of which there may be several; what lasts from one call to the next must bear how much these differ.
    """

    async def claim(self, *, now_us: int, lease_end_us: int) -> Claim | None:
        """Give the oldest response that waits to the calling runner until `lease_end_us`; `None` when none waits.

        A response waits when its claim time has come and no lease on it lasts. However many calls are made at once, one
        gets it: it is in progress then, and its attempt one more than before. Where nothing waits, one look into an
        index says so.
        """

    async def renew(self, leases: Sequence[Lease], *, lease_end_us: int) -> Renewal:
        """Let the leases last until `lease_end_us`, in a number of operations that does not depend on theirs.

        Attempt 0 is a response that runs for a waiting client: its claim time is the end of its lease, so that those
        which run are not looked through for those which wait.

        A lease is lost once its attempt is not the response's present one, or the response is not in progress, or not
        there. One that has ended is not lost as long as nobody else has claimed the response.
        """

    async def release(self, lease: Lease) -> None:
        """Put the response back to where it was, and do not count the try; a lost lease changes nothing.

        Since it was the oldest when it was claimed, it is likely to be the next one claimed.
        """

    async def cancel(self, *, owner: str, response_id: str) -> Response:
        """Cancel a background response, and return it as it is then.

        One that is queued ends cancelled at once, and is forgotten here; no earlier attempt can end it any more. One in
        progress stays so: renewing its lease, also one claimed later, tells its runner. One that has ended, or does not
        run in the background, stays as it is.

        Raises:
            ResponseNotFound: There is none.
        """


class SearchStore(Protocol):
    """Finds items and titles by their terms.

    Found are the members of conversations and the conversations' titles. What is deleted is not found, and none of its
    words is kept. Where a creation or deletion is under way, or was cut by a crash, `find` may name what `load` does
    not return.
    """

    async def count(self, *, owner: str, term: str, at_most: int) -> int:
        """Return how often the owner's items and titles have the term, looking at no more than `at_most` of either."""

    async def find(self, *, owner: str, terms: Sequence[str], before: Rank | None, limit: int) -> list[Hit]:
        """Return what has all the terms, newest first: up to `limit` hits of a rank below `before`, or the newest.

        Args:
            owner: Whose.
            terms: One at least; the first is the rarest.
            before: Where to begin; `None` for the beginning.
            limit: How many at most; when there are fewer, nothing follows.
        """

    async def found_since(
        self, *, owner: str, terms: Sequence[str], since: Rank, conversation_ids: Sequence[str]
    ) -> set[str]:
        """Return which of the conversations have a hit of rank `since` or above, hence were on an earlier page."""

    async def load(self, *, owner: str, hits: Sequence[Hit]) -> list[Found]:
        """Return the conversations and the items of the hits, in this order, without those that are gone."""

    async def rank_of(self, *, owner: str, hit_id: str) -> Rank:
        """Return the rank of an item, which may be deleted by now, or of a conversation's title."""


class HistoryStore(Protocol):
    """Keeps everything, in one database."""

    @property
    def conversations(self) -> ConversationStore:
        """Return the part that keeps conversations."""

    @property
    def items(self) -> ItemStore:
        """Return the part that keeps items."""

    @property
    def responses(self) -> ResponseStore:
        """Return the part that keeps responses."""

    @property
    def queue(self) -> ResponseQueue:
        """Return the part that gives responses to runners."""

    @property
    def shares(self) -> ShareStore:
        """Return the part that keeps shares."""

    @property
    def feedback(self) -> FeedbackStore:
        """Return the part that keeps what owners think of items."""

    @property
    def chat_completions(self) -> ChatCompletionStore:
        """Return the part that keeps stored chat completions."""

    @property
    def search(self) -> SearchStore:
        """Return the part that finds what has certain words."""

    async def delete_owner(self, *, owner: str) -> None:
        """Delete everything that the owner has; doing so twice changes nothing."""

    async def ping(self) -> None:
        """Return when the database answers, or raise."""
