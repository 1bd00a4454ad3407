"""What the owner of an item thinks of it. It is kept with the item, and goes with it."""

from dataclasses import dataclass
from enum import StrEnum

from rostra_kit.errors import InvalidArgumentError

MAX_COMMENT_LENGTH = 2_000


class Rating(StrEnum):
    """Whether an item was good."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """An opinion.

    Attributes:
        comment: Says why; may be empty.
        update_time_us: When it was given, or changed last.
    """

    rating: Rating
    comment: str
    update_time_us: int


def check_comment(comment: str) -> None:
    """Check what somebody says about an item.

    Raises:
        InvalidArgumentError: It is too long.
    """
    if len(comment) > MAX_COMMENT_LENGTH:
        raise InvalidArgumentError(f"A comment has at most {MAX_COMMENT_LENGTH} characters.", param="comment")
