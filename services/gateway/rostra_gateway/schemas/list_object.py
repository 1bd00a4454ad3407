"""Lists as OpenAI answers them."""

from collections.abc import Sequence
from typing import Generic, Literal, Self, TypeVar

from pydantic import BaseModel


class Element(BaseModel):
    """What lists are made of: something with a name, after which the next page can begin."""

    id: str


ElementT = TypeVar("ElementT", bound=Element)


class ListObject(BaseModel, Generic[ElementT]):
    """A page of a list."""

    object: Literal["list"] = "list"
    data: list[ElementT]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, elements: Sequence[ElementT], *, has_more: bool) -> Self:
        """Return the page that holds `elements`."""
        return cls(
            data=list(elements),
            first_id=elements[0].id if elements else None,
            last_id=elements[-1].id if elements else None,
            has_more=has_more,
        )
