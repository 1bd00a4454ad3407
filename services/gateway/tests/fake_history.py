"""A history service that keeps everything in memory."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.common.v1.page_pb2 import Order, PageRequest
from rostra.history.v1 import history_service_pb2 as pb
from rostra.history.v1.conversation_pb2 import Branch, Conversation, Fork, Match
from rostra.history.v1.history_service_pb2_grpc import HistoryServiceServicer
from rostra.history.v1.item_pb2 import Feedback, Item
from rostra.history.v1.response_pb2 import Response, ResponseStatus
from rostra_kit.context import current_caller
from rostra_kit.errors import InvalidArgumentError, NotFoundError
from rostra_kit.ids import new_id
from rostra_kit.items import normalise_item
from services.gateway.tests.fake_user import now


class FakeHistoryService(HistoryServiceServicer):
    """Keeps conversations and responses by (owner, id).

    Attributes:
        before: What a test has happen first, by the name of the RPC: it may raise, or answer in its place.
    """

    def __init__(self) -> None:
        self.conversations: dict[tuple[str, str], Conversation] = {}
        self.items: dict[tuple[str, str], list[Item]] = {}
        self.responses: dict[tuple[str, str], Response] = {}
        self.feedback: dict[str, Feedback] = {}
        self.before: dict[str, Callable[[Any], Any]] = {}

    def add_response(
        self, user_id: str, body: bytes, *, status: ResponseStatus = ResponseStatus.RESPONSE_STATUS_COMPLETED
    ) -> str:
        """Add a response, with one output item, and return its id."""
        response_id = new_id("resp")
        self.responses[user_id, response_id] = Response(id=response_id, body=body, status=status)
        self.items[user_id, response_id] = [_stored({"role": "assistant", "content": "Hello."})]
        return response_id

    async def CreateConversation(self, request, context):
        conversation = Conversation(id=new_id("conv"), metadata=request.metadata, create_time=now(), update_time=now())
        key = (current_caller().user_id, conversation.id)
        self.items[key] = []
        self.conversations[key] = conversation
        self._append(conversation.id, request.items)
        return pb.CreateConversationResponse(conversation=conversation)

    async def ImportConversation(self, request, context):
        self._happen("ImportConversation", request)
        conversation = Conversation(
            id=new_id("conv"),
            title=request.title,
            metadata=request.metadata,
            archived=request.archived,
            create_time=request.create_time if request.HasField("create_time") else now(),
            update_time=request.update_time if request.HasField("update_time") else now(),
        )
        items: dict[str, Item] = {}
        for imported in request.items:
            item = items[imported.key] = _stored(json.loads(imported.body))
            item.parent_id = items[imported.parent_key].id if imported.parent_key else ""
            if imported.HasField("create_time"):
                item.create_time.CopyFrom(imported.create_time)
            if imported.HasField("feedback"):
                item.feedback.CopyFrom(imported.feedback)
        last_key = request.items[-1].key if request.items else ""
        active_key = request.active_key if request.HasField("active_key") else last_key
        conversation.active_item_id = items[active_key].id if active_key else ""
        key = (current_caller().user_id, conversation.id)
        self.conversations[key], self.items[key] = conversation, list(items.values())
        return pb.ImportConversationResponse(conversation=conversation)

    async def GetConversation(self, request, context):
        self._happen("GetConversation", request)
        return pb.GetConversationResponse(conversation=self._conversation(request.conversation_id))

    async def ListConversations(self, request, context):
        caller = current_caller().user_id
        owned = [
            conversation
            for (owner, _), conversation in self.conversations.items()
            if owner == caller
            and conversation.archived == request.archived
            and _is_between(conversation.create_time, request)
        ]
        if request.order_by == pb.CONVERSATION_TIME_UPDATED:
            owned.sort(key=lambda conversation: conversation.update_time.ToNanoseconds())
        page, has_more = page_of(owned, request.page)
        return pb.ListConversationsResponse(conversations=page, has_more=has_more)

    async def UpdateConversation(self, request, context):
        conversation = self._conversation(request.conversation_id)
        if request.HasField("metadata"):
            conversation.metadata.clear()
            conversation.metadata.update(request.metadata.pairs)
        if request.HasField("title"):
            conversation.title = request.title
        if request.HasField("archived"):
            conversation.archived = request.archived
        if request.HasField("active_item_id"):
            if request.active_item_id:
                self._item(request.conversation_id, request.active_item_id)
            conversation.active_item_id = request.active_item_id
        conversation.update_time.CopyFrom(now())
        return pb.UpdateConversationResponse(conversation=conversation)

    async def DeleteConversation(self, request, context):
        self._conversation(request.conversation_id)
        del self.conversations[current_caller().user_id, request.conversation_id]
        return pb.DeleteConversationResponse()

    async def SearchConversations(self, request, context):
        """Find titles that hold the query, and items whose body does, letter by letter."""
        caller, matches = current_caller().user_id, []
        for (owner, name), conversation in self.conversations.items():
            if owner != caller:
                continue
            if request.query in conversation.title:
                matches.append(_match(conversation, name, "", conversation.title))
            for item in self.items[owner, name]:
                if request.query.encode() in item.body:
                    matches.append(_match(conversation, item.id, item.id, request.query))
        page, has_more = page_of(matches, request.page)
        return pb.SearchConversationsResponse(matches=page, has_more=has_more)

    async def CreateItems(self, request, context):
        return pb.CreateItemsResponse(items=self._append(request.conversation_id, request.items))

    async def ListForks(self, request, context):
        active_ids = {item.id for item in self._branch(request.conversation_id)}
        followers: dict[str, list[Branch]] = {}
        for item in self._items(request.conversation_id):
            branch = Branch(item_id=item.id, leaf_id=item.id, active=item.id in active_ids)
            followers.setdefault(item.parent_id, []).append(branch)
        forks = [Fork(parent_id=parent, branches=ways) for parent, ways in followers.items() if len(ways) > 1]
        return pb.ListForksResponse(forks=forks)

    async def ListItems(self, request, context):
        if answer := self._happen("ListItems", request):
            return answer
        items = self._items(request.conversation_id)
        if request.view != pb.ItemView.ITEM_VIEW_ALL_BRANCHES:
            items = self._branch(request.conversation_id)
        page, has_more = page_of(items, request.page)
        return pb.ListItemsResponse(items=page, has_more=has_more)

    async def GetItem(self, request, context):
        return pb.GetItemResponse(item=self._item(request.conversation_id, request.item_id))

    async def DeleteItem(self, request, context):
        item = self._item(request.conversation_id, request.item_id)
        self._items(request.conversation_id).remove(item)
        for other in self._items(request.conversation_id):
            if other.parent_id == item.id:
                other.parent_id = item.parent_id
        conversation = self._conversation(request.conversation_id)
        if conversation.active_item_id == item.id:
            conversation.active_item_id = item.parent_id
        return pb.DeleteItemResponse(conversation=self._conversation(request.conversation_id))

    async def UpdateFeedback(self, request, context):
        item = self._item(request.conversation_id, request.item_id)
        request.feedback.update_time.CopyFrom(now())
        self.feedback[item.id] = request.feedback
        return pb.UpdateFeedbackResponse(feedback=request.feedback)

    async def GetFeedback(self, request, context):
        return pb.GetFeedbackResponse(feedback=self.feedback[self._rated(request)])

    async def DeleteFeedback(self, request, context):
        del self.feedback[self._rated(request)]
        return pb.DeleteFeedbackResponse()

    async def GetResponse(self, request, context):
        response = self._response(request.response_id)
        return pb.GetResponseResponse(
            response=response, output=self.items[current_caller().user_id, request.response_id]
        )

    async def ListResponses(self, request, context):
        caller = current_caller().user_id
        owned = [response for (owner, _), response in self.responses.items() if owner == caller]
        page, has_more = page_of(owned, request.page)
        return pb.ListResponsesResponse(responses=page, has_more=has_more)

    async def DeleteResponse(self, request, context):
        self._response(request.response_id)
        del self.responses[current_caller().user_id, request.response_id]
        return pb.DeleteResponseResponse()

    async def ListInputItems(self, request, context):
        self._response(request.response_id)
        page, has_more = page_of(self.items[current_caller().user_id, request.response_id], request.page)
        return pb.ListInputItemsResponse(items=page, has_more=has_more)

    def _happen(self, method: str, request: Any) -> Any:
        return self.before[method](request) if method in self.before else None

    def _conversation(self, conversation_id: str) -> Conversation:
        conversation = self.conversations.get((current_caller().user_id, conversation_id))
        if conversation is None:
            raise NotFoundError("No such conversation.", reason=ErrorReason.ERROR_REASON_CONVERSATION_NOT_FOUND)
        return conversation

    def _append(self, conversation_id: str, items: Iterable[Item]) -> list[Item]:
        """Append items after the active one; each branch ends with its first item, as far as forks tell."""
        conversation = self._conversation(conversation_id)
        stored = [_stored(orjson.loads(item.body)) for item in items]
        for item in stored:
            item.parent_id = conversation.active_item_id
            conversation.active_item_id = item.id
        self._items(conversation_id).extend(stored)
        return stored

    def _branch(self, conversation_id: str) -> list[Item]:
        """Return the items up to the active one, oldest first."""
        by_id = {item.id: item for item in self._items(conversation_id)}
        branch: list[Item] = []
        item = by_id.get(self._conversation(conversation_id).active_item_id)
        while item is not None:
            branch.insert(0, item)
            item = by_id.get(item.parent_id)
        return branch

    def _items(self, conversation_id: str) -> list[Item]:
        self._conversation(conversation_id)
        return self.items[current_caller().user_id, conversation_id]

    def _item(self, conversation_id: str, item_id: str) -> Item:
        for item in self._items(conversation_id):
            if item.id == item_id:
                return item
        raise NotFoundError("No such item.", reason=ErrorReason.ERROR_REASON_ITEM_NOT_FOUND)

    def _rated(self, request) -> str:
        item = self._item(request.conversation_id, request.item_id)
        if item.id not in self.feedback:
            raise NotFoundError("No such feedback.", reason=ErrorReason.ERROR_REASON_FEEDBACK_NOT_FOUND)
        return item.id

    def _response(self, response_id: str) -> Response:
        response = self.responses.get((current_caller().user_id, response_id))
        if response is None:
            raise NotFoundError("No such response.", reason=ErrorReason.ERROR_REASON_RESPONSE_NOT_FOUND)
        return response


def _match(conversation: Conversation, name: str, item_id: str, snippet: str) -> Match:
    return Match(id=name, conversation=conversation, item_id=item_id, snippet=snippet, create_time=now())


def _stored(item: dict) -> Item:
    normal = normalise_item(item)
    return Item(id=normal["id"], body=json.dumps(normal).encode(), create_time=now())


def _is_between(time: Timestamp, request: pb.ListConversationsRequest) -> bool:
    nanoseconds = time.ToNanoseconds()
    if request.HasField("min_create_time") and nanoseconds < request.min_create_time.ToNanoseconds():
        return False
    return not request.HasField("max_create_time") or nanoseconds < request.max_create_time.ToNanoseconds()


def page_of(elements: list, page: PageRequest) -> tuple[list, bool]:
    """Return the page, and whether another follows; the elements are kept oldest first."""
    ordered = elements if page.order == Order.ORDER_ASCENDING else elements[::-1]
    names = [element.id for element in ordered]
    if page.after_id and page.after_id not in names:
        raise InvalidArgumentError("No such element.", param="after")
    start = names.index(page.after_id) + 1 if page.after_id else 0
    return ordered[start : start + page.page_size], len(ordered) > start + page.page_size
