"""What people think of items."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from rostra.history.v1 import item_pb2

_RATINGS = {
    "positive": item_pb2.FEEDBACK_RATING_POSITIVE,
    "negative": item_pb2.FEEDBACK_RATING_NEGATIVE,
}

Rating = Literal["positive", "negative"]
Comment = Annotated[StrictStr, Field(max_length=2_000)]


class FeedbackRequest(BaseModel):
    """The body of `POST /v1/conversations/{conversation_id}/items/{item_id}/feedback`."""

    model_config = ConfigDict(extra="forbid")
    rating: Rating = Field(description="Whether the item was good.")
    comment: Comment | None = Field(None, description="Says why.")

    def to_proto(self) -> item_pb2.Feedback:
        """Return the same for the services behind."""
        return item_pb2.Feedback(rating=_RATINGS[self.rating], comment=self.comment or "")


class Feedback(BaseModel):
    """What its owner thinks of an item."""

    object: Literal["item.feedback"] = "item.feedback"
    item_id: str
    rating: Rating
    comment: str | None = Field(description="`null` when there is none.")
    updated_at: int

    @classmethod
    def from_proto(cls, feedback: item_pb2.Feedback, *, item_id: str) -> Self:
        """Return the opinion as clients see it."""
        is_positive = feedback.rating == item_pb2.FEEDBACK_RATING_POSITIVE
        return cls(
            item_id=item_id,
            rating="positive" if is_positive else "negative",
            comment=feedback.comment or None,
            updated_at=feedback.update_time.ToSeconds(),
        )


class DeletedFeedback(BaseModel):
    """What is left of feedback that was taken back."""

    item_id: str
    object: Literal["item.feedback.deleted"] = "item.feedback.deleted"
    deleted: Literal[True] = True
