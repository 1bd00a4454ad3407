"""Chat completions that were created with `store: true`: listed, read, given other metadata, deleted."""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from rostra.history.v1 import chat_completion_service_pb2 as pb
from rostra_gateway.body import read_json, validate
from rostra_gateway.dependencies import AdmittedCaller, CurrentClients
from rostra_gateway.idempotency.route import IdempotentRoute
from rostra_gateway.openapi import documented, request_body
from rostra_gateway.path_ids import CompletionId
from rostra_gateway.schemas.list_object import ListObject
from rostra_gateway.schemas.stored_chat_completion import (
    DeletedChatCompletion,
    ListChatCompletionsQuery,
    MetadataFilter,
    OldestFirstQuery,
    StoredChatCompletion,
    StoredChatMessage,
    UpdateChatCompletionRequest,
    completion_object,
    message_object,
)
from rostra_kit.errors import InvalidArgumentError

router = APIRouter(prefix="/v1/chat/completions", tags=["Chat completions"], route_class=IdempotentRoute)

# FastAPI knows no parameters of this form: `metadata[topic]=Rome&metadata[year]=44`.
_METADATA_PARAMETER = {
    "name": "metadata",
    "in": "query",
    "required": False,
    "style": "deepObject",
    "explode": True,
    "description": "Only those whose metadata has all of these pairs: `metadata[topic]=Rome`.",
    "schema": {
        "type": "object",
        "maxProperties": 16,
        "propertyNames": {"maxLength": 64},
        "additionalProperties": {"type": "string", "maxLength": 512},
    },
}


async def read_metadata_filter(request: Request) -> dict[str, str]:
    """Return the pairs that the query asks for.

    Raises:
        InvalidArgumentError: They cannot be.
    """
    pairs: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        key = name.removeprefix("metadata[").removesuffix("]")
        if name == f"metadata[{key}]" and key not in pairs:
            pairs[key] = value
        elif name == "metadata" or name.startswith("metadata["):
            raise InvalidArgumentError("Write each pair once, as 'metadata[key]=value'.", param="metadata")
    return validate(MetadataFilter, {"metadata": pairs}).metadata


@router.get(
    "",
    responses=documented(ListObject[StoredChatCompletion]),
    openapi_extra={"parameters": [_METADATA_PARAMETER]},
)
async def list_chat_completions(
    query: Annotated[ListChatCompletionsQuery, Query()],
    metadata: Annotated[dict[str, str], Depends(read_metadata_filter)],
    clients: CurrentClients,
    _: AdmittedCaller,
) -> Response:
    """List the completions that were stored, oldest first unless `order` is `desc`."""
    history = clients.chat_completions
    answer = await history.call(
        history.stub.ListChatCompletions,
        pb.ListChatCompletionsRequest(page=query.to_proto(), model=query.model, metadata=metadata),
    )
    return _list_object([completion_object(each) for each in answer.completions], has_more=answer.has_more)


@router.get("/{completion_id}", responses=documented(StoredChatCompletion))
async def get_chat_completion(completion_id: CompletionId, clients: CurrentClients, _: AdmittedCaller) -> Response:
    """Get a stored completion."""
    history = clients.chat_completions
    answer = await history.call(
        history.stub.GetChatCompletion, pb.GetChatCompletionRequest(completion_id=completion_id)
    )
    return _json(completion_object(answer.completion))


@router.post(
    "/{completion_id}",
    openapi_extra=request_body(UpdateChatCompletionRequest),
    responses=documented(StoredChatCompletion),
)
async def update_chat_completion(
    request: Request, completion_id: CompletionId, clients: CurrentClients, _: AdmittedCaller
) -> Response:
    """Change a stored completion's metadata, all pairs at once."""
    body = validate(UpdateChatCompletionRequest, await read_json(request))
    history = clients.chat_completions
    answer = await history.call(
        history.stub.UpdateChatCompletion,
        pb.UpdateChatCompletionRequest(completion_id=completion_id, metadata=body.metadata),
    )
    return _json(completion_object(answer.completion))


@router.delete("/{completion_id}")
async def delete_chat_completion(
    completion_id: CompletionId, clients: CurrentClients, _: AdmittedCaller
) -> DeletedChatCompletion:
    """Delete a stored completion."""
    history = clients.chat_completions
    await history.call(history.stub.DeleteChatCompletion, pb.DeleteChatCompletionRequest(completion_id=completion_id))
    return DeletedChatCompletion(id=completion_id)


@router.get("/{completion_id}/messages", responses=documented(ListObject[StoredChatMessage]))
async def list_chat_messages(
    completion_id: CompletionId,
    page: Annotated[OldestFirstQuery, Query()],
    clients: CurrentClients,
    _: AdmittedCaller,
) -> Response:
    """List the messages that a stored completion was asked with, oldest first unless `order` is `desc`."""
    history = clients.chat_completions
    answer = await history.call(
        history.stub.ListChatMessages,
        pb.ListChatMessagesRequest(completion_id=completion_id, page=page.to_proto()),
    )
    return _list_object([message_object(each) for each in answer.messages], has_more=answer.has_more)


def _list_object(elements: Sequence[dict[str, Any]], *, has_more: bool) -> Response:
    body = {
        "object": "list",
        "data": elements,
        "first_id": elements[0]["id"] if elements else None,
        "last_id": elements[-1]["id"] if elements else None,
        "has_more": has_more,
    }
    return _json(body)


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
