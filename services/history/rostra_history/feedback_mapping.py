"""Feedback on the wire and what it stands for, both ways."""

from collections.abc import Sequence

from rostra.history.v1 import item_pb2
from rostra_history.domain import Item
from rostra_history.feedback import Feedback, Rating
from rostra_history.mapping import member_messages, timestamp
from rostra_kit.errors import InvalidArgumentError

_RATINGS = {
    Rating.POSITIVE: item_pb2.FEEDBACK_RATING_POSITIVE,
    Rating.NEGATIVE: item_pb2.FEEDBACK_RATING_NEGATIVE,
}
_RATINGS_BY_NUMBER = {int(number): rating for rating, number in _RATINGS.items()}


def feedback_message(feedback: Feedback) -> item_pb2.Feedback:
    """Return the message of an opinion."""
    return item_pb2.Feedback(
        rating=_RATINGS[feedback.rating],
        comment=feedback.comment,
        update_time=timestamp(feedback.update_time_us),
    )


def listed_messages(items: Sequence[Item]) -> list[item_pb2.Item]:
    """Return the messages of a conversation's items, with what their owner thinks of them."""
    messages = member_messages(items)
    for message, item in zip(messages, items, strict=True):
        if item.feedback is not None:
            message.feedback.CopyFrom(feedback_message(item.feedback))
    return messages


def rating_of(message: item_pb2.Feedback) -> Rating:
    """Return the rating that an opinion has."""
    if message.rating not in _RATINGS_BY_NUMBER:
        raise InvalidArgumentError("A rating is 'positive' or 'negative'.", param="rating")
    return _RATINGS_BY_NUMBER[message.rating]
