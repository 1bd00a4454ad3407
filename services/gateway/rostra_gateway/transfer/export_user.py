"""Everything that Rostra keeps of a user, as one JSON document.

Secrets are not in it: of passwords and API keys Rostra keeps digests only. Its `conversations` can be imported again.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.common.v1.page_pb2 import PageRequest
from rostra.history.v1 import chat_completion_service_pb2 as completion_pb
from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1 import share_service_pb2 as share_pb
from rostra.history.v1.chat_completion_pb2 import ChatCompletion, ChatMessage
from rostra.history.v1.conversation_pb2 import Conversation
from rostra.history.v1.item_pb2 import Item
from rostra.history.v1.response_pb2 import Response, ResponseStatus
from rostra.history.v1.share_pb2 import Share
from rostra.user.v1 import user_service_pb2 as user_pb
from rostra_gateway.clients import Clients
from rostra_gateway.schemas.api_key import ApiKey
from rostra_gateway.schemas.usage import UsageBucket
from rostra_gateway.schemas.user import User
from rostra_gateway.transfer.export_json import VERSION, export_json
from rostra_gateway.transfer.pages import ListPage, all_pages
from rostra_gateway.transfer.times import seconds
from rostra_kit.errors import NotFoundError


async def export_user(clients: Clients) -> AsyncGenerator[bytes, None]:
    """Yield the parts of the caller's document. It is whole only with its last byte, the closing brace."""
    answer = await clients.user.call(clients.user.stub.GetUser, user_pb.GetUserRequest())
    head = {
        "object": "user.export",
        "version": VERSION,
        "exported_at": int(time.time()),
        "user": User.from_proto(answer.user).model_dump(),
        "api_keys": await _api_keys(clients),
        "usage": await _usage(clients),
    }
    yield orjson.dumps(head)[:-1]
    parts = {
        "conversations": _conversations(clients),
        "responses": _responses(clients),
        "chat_completions": _chat_completions(clients),
        "shares": _shares(clients),
    }
    for name, elements in parts.items():
        yield b',\n"%b":[' % name.encode()
        async for piece in elements:
            yield piece
        yield b"]"
    yield b"}"


async def _api_keys(clients: Clients) -> list[dict[str, Any]]:
    answer = await clients.user.call(clients.user.stub.ListApiKeys, user_pb.ListApiKeysRequest())
    return [ApiKey.from_proto(key).model_dump() for key in answer.api_keys]


async def _usage(clients: Clients) -> list[dict[str, Any]]:
    request = user_pb.ListUsageRequest(start_time=Timestamp(), end_time=Timestamp(seconds=int(time.time()) + 1))
    answer = await clients.user.call(clients.user.stub.ListUsage, request)
    return [UsageBucket.from_proto(bucket).model_dump() for bucket in answer.buckets]


async def _conversations(clients: Clients) -> AsyncIterator[bytes]:
    separator = b""
    async for conversation in _all_conversations(clients):
        pieces = export_json(clients, conversation)
        try:
            first = await anext(pieces)
        except NotFoundError:  # It was deleted meanwhile.
            continue
        yield separator + first
        async for piece in pieces:
            yield piece
        separator = b",\n"


async def _all_conversations(clients: Clients) -> AsyncIterator[Conversation]:
    for archived in (False, True):
        async for conversations in all_pages(_conversations_of(clients, archived=archived)):
            for conversation in conversations:
                yield conversation


def _conversations_of(clients: Clients, *, archived: bool) -> ListPage[Conversation]:
    history = clients.history

    async def list_page(page: PageRequest) -> tuple[Sequence[Conversation], bool]:
        request = pb.ListConversationsRequest(page=page, archived=archived)
        answer = await history.call(history.stub.ListConversations, request)
        return answer.conversations, answer.has_more

    return list_page


async def _responses(clients: Clients) -> AsyncIterator[bytes]:
    history = clients.history

    async def list_page(page: PageRequest) -> tuple[Sequence[Response], bool]:
        answer = await history.call(history.stub.ListResponses, pb.ListResponsesRequest(page=page))
        return answer.responses, answer.has_more

    separator = b""
    async for responses in all_pages(list_page):
        for listed in responses:
            request = pb.GetResponseRequest(response_id=listed.id)
            try:
                answer = await history.call(history.stub.GetResponse, request)
            except NotFoundError:  # It was deleted meanwhile.
                continue
            yield separator + orjson.dumps(_response_fields(answer.response))[:-1] + b',"input":['
            async for piece in _input(clients, listed.id):
                yield piece
            yield b'],"output":[' + _bodies(answer.output) + b"]}"
            separator = b",\n"


async def _chat_completions(clients: Clients) -> AsyncIterator[bytes]:
    stored = clients.chat_completions

    async def list_page(page: PageRequest) -> tuple[Sequence[ChatCompletion], bool]:
        request = completion_pb.ListChatCompletionsRequest(page=page)
        answer = await stored.call(stored.stub.ListChatCompletions, request)
        return answer.completions, answer.has_more

    separator = b""
    async for completions in all_pages(list_page):
        for completion in completions:
            yield separator + orjson.dumps(_completion_fields(completion))[:-1] + b',"messages":['
            async for piece in _chat_messages(clients, completion.id):
                yield piece
            yield b"]}"
            separator = b",\n"


async def _chat_messages(clients: Clients, completion_id: str) -> AsyncIterator[bytes]:
    stored = clients.chat_completions

    async def list_page(page: PageRequest) -> tuple[Sequence[ChatMessage], bool]:
        request = completion_pb.ListChatMessagesRequest(completion_id=completion_id, page=page)
        answer = await stored.call(stored.stub.ListChatMessages, request)
        return answer.messages, answer.has_more

    separator = b""
    async for messages in all_pages(list_page):
        yield separator + _bodies(messages)
        separator = b","


async def _shares(clients: Clients) -> AsyncIterator[bytes]:
    shares = clients.shares

    async def list_page(page: PageRequest) -> tuple[Sequence[Share], bool]:
        answer = await shares.call(shares.stub.ListShares, share_pb.ListSharesRequest(page=page))
        return answer.shares, answer.has_more

    separator = b""
    async for page in all_pages(list_page):
        yield separator + b",\n".join(orjson.dumps(_share_fields(share)) for share in page)
        separator = b",\n"


async def _input(clients: Clients, response_id: str) -> AsyncIterator[bytes]:
    history = clients.history

    async def list_page(page: PageRequest) -> tuple[Sequence[Item], bool]:
        answer = await history.call(
            history.stub.ListInputItems, pb.ListInputItemsRequest(response_id=response_id, page=page)
        )
        return answer.items, answer.has_more

    separator = b""
    async for items in all_pages(list_page):
        yield separator + _bodies(items)
        separator = b","


def _response_fields(response: Response) -> dict[str, Any]:
    return {
        "id": response.id,
        "status": ResponseStatus.Name(response.status).removeprefix("RESPONSE_STATUS_").lower(),
        "created_at": seconds(response.create_time),
        "conversation_id": response.conversation_id or None,
        "response": orjson.Fragment(response.body),
    }


def _completion_fields(completion: ChatCompletion) -> dict[str, Any]:
    return {
        "id": completion.id,
        "created_at": seconds(completion.create_time),
        "metadata": dict(completion.metadata),
        "completion": orjson.Fragment(completion.body),
    }


def _share_fields(share: Share) -> dict[str, Any]:
    return {
        "id": share.id,
        "conversation_id": share.conversation_id,
        "title": share.title or None,
        "created_at": seconds(share.create_time),
        "expires_at": seconds(share.expire_time) if share.HasField("expire_time") else None,
    }


def _bodies(items: Iterable[Item | ChatMessage]) -> bytes:
    return b",".join(item.body for item in items)
