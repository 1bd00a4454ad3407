"""Pages of lists: which one is asked for, and how lists of items are written."""

from collections.abc import Sequence
from typing import Literal

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


def list_of_items(items: Sequence[Item], *, has_more: bool) -> Response:
    """Return OpenAI's list object around `items`, whose bodies are passed on as they are stored."""
    body = {
        "object": "list",
        "data": [orjson.Fragment(item.body) for item in items],
        "first_id": items[0].id if items else None,
        "last_id": items[-1].id if items else None,
        "has_more": has_more,
    }
    return Response(orjson.dumps(body), media_type="application/json")
