"""Lists as OpenAI answers them: `object`, `data`, `first_id`, `last_id`, `has_more`, paged by `after`."""

from collections.abc import Sequence
from typing import Any, Literal

import orjson
from fastapi.responses import Response
from pydantic import BaseModel, Field

from rostra.common.v1.page_pb2 import Order, PageRequest
from rostra.history.v1.item_pb2 import Item


class PageQuery(BaseModel):
    """Which page of a list is asked for."""

    limit: int = Field(20, ge=1, le=100, description="Most elements on the page.")
    after: str = Field("", max_length=128, description="The last element of the page before.")
    order: Literal["asc", "desc"] = Field("desc", description="`asc` for oldest first, `desc` for newest first.")

    def to_proto(self) -> PageRequest:
        """Return the same for the services behind."""
        order = Order.ORDER_ASCENDING if self.order == "asc" else Order.ORDER_DESCENDING
        return PageRequest(page_size=self.limit, after_id=self.after, order=order)


def list_of(elements: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """Return OpenAI's list object around `elements`, each of which has an `id`."""
    return {
        "object": "list",
        "data": elements,
        "first_id": elements[0]["id"] if elements else None,
        "last_id": elements[-1]["id"] if elements else None,
        "has_more": has_more,
    }


def list_of_items(items: Sequence[Item], *, has_more: bool) -> Response:
    """Return a list of items, whose bodies are passed on as they are stored."""
    body = list_of([{"id": item.id} for item in items], has_more=has_more)
    body["data"] = [orjson.Fragment(item.body) for item in items]
    return Response(orjson.dumps(body), media_type="application/json")
