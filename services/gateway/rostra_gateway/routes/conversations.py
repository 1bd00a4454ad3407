"""Conversations and the items in them: OpenAI's endpoints, and a list of all beside them."""

from collections.abc import Iterable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.item_pb2 import Item
from rostra_gateway.body import read_json, validate
from rostra_gateway.dependencies import AdmittedCaller, CurrentClients
from rostra_gateway.idempotency.route import IdempotentRoute
from rostra_gateway.lists import PageQuery, list_of_items
from rostra_gateway.openapi import documented, request_body
from rostra_gateway.path_ids import ConversationId, ItemId
from rostra_gateway.schemas.conversation import (
    Conversation,
    ConversationQuery,
    CreateConversationRequest,
    CreateItemsRequest,
    DeletedConversation,
    Fork,
    ItemObject,
    UpdateConversationRequest,
)
from rostra_gateway.schemas.list_object import ListObject

router = APIRouter(prefix="/v1/conversations", tags=["Conversations"], route_class=IdempotentRoute)


@router.post("", openapi_extra=request_body(CreateConversationRequest, required=False))
async def create_conversation(request: Request, clients: CurrentClients, _: AdmittedCaller) -> Conversation:
    """Create a conversation, with up to 20 items in it."""
    body = validate(CreateConversationRequest, await read_json(request))
    history = clients.history
    answer = await history.call(
        history.stub.CreateConversation,
        pb.CreateConversationRequest(metadata=body.metadata, items=_to_proto(body.items or ())),
    )
    return Conversation.from_proto(answer.conversation)


@router.get("")
async def list_conversations(
    query: Annotated[ConversationQuery, Query()], clients: CurrentClients, _: AdmittedCaller
) -> ListObject[Conversation]:
    """List the caller's conversations, newest first unless `order` is `asc`. OpenAI has no such endpoint."""
    history = clients.history
    answer = await history.call(history.stub.ListConversations, query.to_request())
    conversations = [Conversation.from_proto(conversation) for conversation in answer.conversations]
    return ListObject[Conversation].of(conversations, has_more=answer.has_more)


@router.get("/{conversation_id}")
async def get_conversation(conversation_id: ConversationId, clients: CurrentClients, _: AdmittedCaller) -> Conversation:
    """Get a conversation, without its items."""
    history = clients.history
    answer = await history.call(
        history.stub.GetConversation, pb.GetConversationRequest(conversation_id=conversation_id)
    )
    return Conversation.from_proto(answer.conversation)


@router.post("/{conversation_id}", openapi_extra=request_body(UpdateConversationRequest, required=False))
async def update_conversation(
    request: Request, conversation_id: ConversationId, clients: CurrentClients, _: AdmittedCaller
) -> Conversation:
    """Change what is given: metadata, all pairs at once, the title, whether it is archived, which item is active.

    To edit an earlier turn, make the item before it active and go on; to make an answer again, make the user's message
    active and create a response without input.
    """
    body = validate(UpdateConversationRequest, await read_json(request))
    history = clients.history
    answer = await history.call(history.stub.UpdateConversation, body.to_proto(conversation_id))
    return Conversation.from_proto(answer.conversation)


@router.delete("/{conversation_id}")
async def delete_conversation(
    conversation_id: ConversationId, clients: CurrentClients, _: AdmittedCaller
) -> DeletedConversation:
    """Delete a conversation with all that is in it."""
    history = clients.history
    await history.call(history.stub.DeleteConversation, pb.DeleteConversationRequest(conversation_id=conversation_id))
    return DeletedConversation(id=conversation_id)


@router.get("/{conversation_id}/forks")
async def list_forks(conversation_id: ConversationId, clients: CurrentClients, _: AdmittedCaller) -> ListObject[Fork]:
    """List where a conversation's branches part, in the order of the items there. OpenAI has no such endpoint."""
    history = clients.history
    answer = await history.call(history.stub.ListForks, pb.ListForksRequest(conversation_id=conversation_id))
    return ListObject[Fork].of([Fork.from_proto(fork) for fork in answer.forks], has_more=False)


@router.post(
    "/{conversation_id}/items",
    openapi_extra=request_body(CreateItemsRequest),
    responses=documented(ListObject[ItemObject]),
)
async def create_items(
    request: Request, conversation_id: ConversationId, clients: CurrentClients, _: AdmittedCaller
) -> Response:
    """Append up to 20 items to a conversation."""
    body = validate(CreateItemsRequest, await read_json(request))
    history = clients.history
    answer = await history.call(
        history.stub.CreateItems,
        pb.CreateItemsRequest(conversation_id=conversation_id, items=_to_proto(body.items)),
    )
    return list_of_items(answer.items, has_more=False)


@router.get("/{conversation_id}/items", responses=documented(ListObject[ItemObject]))
async def list_items(
    conversation_id: ConversationId, page: Annotated[PageQuery, Query()], clients: CurrentClients, _: AdmittedCaller
) -> Response:
    """List the items of the branch that is shown, newest first unless `order` is `asc`."""
    history = clients.history
    answer = await history.call(
        history.stub.ListItems, pb.ListItemsRequest(conversation_id=conversation_id, page=page.to_proto())
    )
    return list_of_items(answer.items, has_more=answer.has_more)


@router.get("/{conversation_id}/items/{item_id}", responses=documented(ItemObject))
async def get_item(
    conversation_id: ConversationId, item_id: ItemId, clients: CurrentClients, _: AdmittedCaller
) -> Response:
    """Get one item of a conversation."""
    history = clients.history
    answer = await history.call(
        history.stub.GetItem, pb.GetItemRequest(conversation_id=conversation_id, item_id=item_id)
    )
    return Response(answer.item.body, media_type="application/json")


@router.delete("/{conversation_id}/items/{item_id}")
async def delete_item(
    conversation_id: ConversationId, item_id: ItemId, clients: CurrentClients, _: AdmittedCaller
) -> Conversation:
    """Delete one item of a conversation."""
    history = clients.history
    answer = await history.call(
        history.stub.DeleteItem, pb.DeleteItemRequest(conversation_id=conversation_id, item_id=item_id)
    )
    return Conversation.from_proto(answer.conversation)


def _to_proto(items: Iterable[dict[str, Any]]) -> list[Item]:
    return [Item(body=orjson.dumps(item)) for item in items]
