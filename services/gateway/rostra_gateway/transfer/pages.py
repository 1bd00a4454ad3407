"""Lists of the services behind, page by page: no more than one page of them is in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.common.v1.page_pb2 import Order, PageRequest
from rostra_kit.errors import InvalidArgumentError


class Named(Protocol):
    """What lists are made of."""

    @property
    def id(self) -> str:
        """Return the name, after which the next page can begin."""


NamedT = TypeVar("NamedT", bound=Named)
ListPage = Callable[[PageRequest], Awaitable[tuple[Sequence[NamedT], bool]]]

_PAGE_SIZE = 100
_SHRINKS_BY = 4


async def all_pages(list_page: ListPage[NamedT]) -> AsyncIterator[Sequence[NamedT]]:
    """Yield the pages of a list, oldest element first.

    A page that is too large for one message is asked for in smaller pieces.

    Args:
        list_page: Returns one page, and whether another follows.

    Raises:
        AppError: A page could not be had.
    """
    after_id, page_size, has_more = "", _PAGE_SIZE, True
    while has_more:
        page = PageRequest(page_size=page_size, after_id=after_id, order=Order.ORDER_ASCENDING)
        try:
            elements, has_more = await list_page(page)
        except InvalidArgumentError as error:
            if error.reason != ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE or page_size == 1:
                raise
            page_size = max(1, page_size // _SHRINKS_BY)
            continue
        if elements:
            yield elements
            after_id = elements[-1].id
