"""The page for people who follow a share's link. It answers every error as a page, too."""

import re
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from rostra.common.v1.page_pb2 import Order, PageRequest
from rostra.history.v1 import share_service_pb2 as pb
from rostra_gateway.dependencies import CurrentEdge, CurrentExchange
from rostra_gateway.path_ids import ID_PATTERN
from rostra_gateway.problems import problem
from rostra_gateway.shared_page import HEADERS, conversation_page, ended_page, later_page
from rostra_kit.errors import AppError, InvalidArgumentError, NotFoundError

router = APIRouter(include_in_schema=False)

_PAGE_SIZE = 50


@router.get("/share/{share_id}")
async def read_share(request: Request, share_id: str, edge: CurrentEdge, exchange: CurrentExchange) -> HTMLResponse:
    """Show a shared conversation to whoever has its link."""
    after_id = request.query_params.get("after", "")
    try:
        await edge.admission.admit_nobody(exchange)
        if not re.fullmatch(ID_PATTERN, share_id) or (after_id and not re.fullmatch(ID_PATTERN, after_id)):
            return _page(ended_page(), status=404)
        page = PageRequest(page_size=_PAGE_SIZE, after_id=after_id, order=Order.ORDER_ASCENDING)
        shares = edge.clients.shares
        answer = await shares.call(shares.stub.ListSharedItems, pb.ListSharedItemsRequest(share_id=share_id, page=page))
    except (NotFoundError, InvalidArgumentError):
        return _page(ended_page(), status=404)
    except AppError as error:
        refusal = problem(error)
        retry_after = {name: refusal.headers[name] for name in ("retry-after",) if name in refusal.headers}
        return _page(later_page(), status=refusal.status_code, headers=retry_after)
    return _page(
        conversation_page(answer.share, answer.items, is_first=not after_id, has_more=answer.has_more), status=200
    )


def _page(text: str, *, status: int, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    return HTMLResponse(text, status, {**HEADERS, **(headers or {})})
