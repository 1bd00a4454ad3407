"""Conversations, and all that is kept of a user, on their way out. OpenAI has no such endpoints."""

from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from rostra.common.v1.caller_pb2 import Caller
from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.conversation_pb2 import Conversation
from rostra_gateway.clients import Clients
from rostra_gateway.dependencies import AdmittedCaller, CurrentEdge, CurrentExchange, Edge
from rostra_gateway.exchange import Exchange
from rostra_gateway.path_ids import ConversationId
from rostra_gateway.schemas.transfer import ExportQuery
from rostra_gateway.transfer.export_json import export_json
from rostra_gateway.transfer.export_markdown import export_markdown
from rostra_gateway.transfer.export_user import export_user
from rostra_gateway.transfer.file_stream import attachment, open_file_stream

router = APIRouter(prefix="/v1", tags=["Export and import"])


class _Form(NamedTuple):
    write: Callable[[Clients, Conversation], AsyncGenerator[bytes, None]]
    media_type: str
    suffix: str


_JSON = "application/json"
_MARKDOWN = "text/markdown; charset=utf-8"
_FORMS = {"json": _Form(export_json, _JSON, ".json"), "markdown": _Form(export_markdown, _MARKDOWN, ".md")}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file. One that breaks off lacks the end of its encoding, and JSON its closing brace.",
        "content": {_JSON: {"schema": {"type": "object"}}},
    }
}
_READABLE: dict[int | str, dict[str, Any]] = {
    200: _FILE[200] | {"content": {_JSON: {"schema": {"type": "object"}}, "text/markdown": {}}}
}


@router.get("/conversations/{conversation_id}/export", responses=_READABLE)
async def export_conversation(
    request: Request,
    conversation_id: ConversationId,
    query: Annotated[ExportQuery, Query()],
    edge: CurrentEdge,
    exchange: CurrentExchange,
    caller: AdmittedCaller,
) -> Response:
    """Export a conversation: all branches as JSON, to be imported again, or the one that is shown as Markdown."""
    history = edge.clients.history
    answer = await history.call(
        history.stub.GetConversation, pb.GetConversationRequest(conversation_id=conversation_id)
    )
    form = _FORMS[query.format]
    name = attachment(answer.conversation.title, otherwise=conversation_id, suffix=form.suffix)
    pieces = form.write(edge.clients, answer.conversation)
    return await _file(request, pieces, name, form.media_type, edge=edge, exchange=exchange, caller=caller)


@router.get("/me/export", responses=_FILE)
async def export_me(request: Request, edge: CurrentEdge, exchange: CurrentExchange, caller: AdmittedCaller) -> Response:
    """Export everything that is kept of the caller, without secrets; its conversations can be imported again."""
    name = attachment("rostra-export", otherwise="export", suffix=".json")
    return await _file(request, export_user(edge.clients), name, _JSON, edge=edge, exchange=exchange, caller=caller)


async def _file(
    request: Request,
    pieces: AsyncGenerator[bytes, None],
    filename: str,
    media_type: str,
    *,
    edge: Edge,
    exchange: Exchange,
    caller: Caller,
) -> Response:
    return await open_file_stream(
        request,
        pieces,
        filename=filename,
        media_type=media_type,
        slots=await edge.admission.open_stream(caller, exchange),
        metrics=edge.metrics,
    )
