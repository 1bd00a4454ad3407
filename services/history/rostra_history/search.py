"""What searching is about: hits, how they are ranked, and what they lead to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rostra_history.domain import Conversation, Item


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """The place of a hit among all: by the time of its creation, then by its id."""

    create_time_us: int
    id: str


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that has all the words: an item, or a conversation by its title.

    Attributes:
        rank: Its place; the rank's id is that of the item, or of the conversation.
        conversation_id: The conversation that it is in, or is.
    """

    rank: Rank
    conversation_id: str

    @property
    def is_title(self) -> bool:
        """Tell whether it is the conversation's title."""
        return self.rank.id == self.conversation_id


@dataclass(frozen=True, slots=True)
class Found:
    """A hit with what it names; `item` is `None` when it is the title."""

    hit: Hit
    conversation: Conversation
    item: Item | None

    @classmethod
    def of(
        cls, hits: Iterable[Hit], *, conversations: Mapping[str, Conversation], items: Mapping[str, Item]
    ) -> list["Found"]:
        """Make those of the hits whose conversation, and item unless it is the title, is among those given by id."""
        return [
            cls(hit, conversations[hit.conversation_id], items.get(hit.rank.id))
            for hit in hits
            if hit.conversation_id in conversations and (hit.is_title or hit.rank.id in items)
        ]


@dataclass(frozen=True, slots=True)
class Match:
    """What is shown of the newest hit in one conversation.

    Attributes:
        id: The item's or the conversation's.
        item_id: The item's; `None` when it is the title that matches.
        snippet: The part of the text around the first word of the query, as plain text.
    """

    id: str
    conversation: Conversation
    item_id: str | None
    snippet: str
    create_time_us: int
