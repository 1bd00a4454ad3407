"""A service of stored chat completions that keeps everything in memory."""

import orjson

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.history.v1 import chat_completion_service_pb2 as pb
from rostra.history.v1.chat_completion_pb2 import ChatCompletion, ChatMessage
from rostra.history.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceServicer
from rostra_kit.context import current_caller
from rostra_kit.errors import NotFoundError
from rostra_kit.ids import new_id
from services.gateway.tests.fake_history import page_of
from services.gateway.tests.fake_user import now


class FakeChatCompletionService(ChatCompletionServiceServicer):
    """Keeps completions by (owner, id)."""

    def __init__(self) -> None:
        self.completions: dict[tuple[str, str], ChatCompletion] = {}
        self.messages: dict[str, list[ChatMessage]] = {}

    def add(self, user_id: str, *messages: object, model: str = "m", **metadata: str) -> str:
        """Add a completion and return its id."""
        completion_id = new_id("chatcmpl")
        body = {"id": completion_id, "object": "chat.completion", "created": 1, "model": model, "choices": []}
        self.completions[user_id, completion_id] = ChatCompletion(
            id=completion_id, models=[model], metadata=metadata, body=orjson.dumps(body), create_time=now()
        )
        self.messages[completion_id] = [
            ChatMessage(id=f"{completion_id}-{place}", body=orjson.dumps(message))
            for place, message in enumerate(messages)
        ]
        return completion_id

    async def GetChatCompletion(self, request, context):
        return pb.GetChatCompletionResponse(completion=self._completion(request.completion_id))

    async def ListChatCompletions(self, request, context):
        caller = current_caller().user_id
        owned = [completion for (owner, _), completion in self.completions.items() if owner == caller]
        fitting = [
            completion
            for completion in owned
            if (not request.model or request.model in completion.models)
            and dict(request.metadata).items() <= dict(completion.metadata).items()
        ]
        page, has_more = page_of(fitting, request.page)
        return pb.ListChatCompletionsResponse(completions=page, has_more=has_more)

    async def UpdateChatCompletion(self, request, context):
        completion = self._completion(request.completion_id)
        completion.metadata.clear()
        completion.metadata.update(request.metadata)
        return pb.UpdateChatCompletionResponse(completion=completion)

    async def DeleteChatCompletion(self, request, context):
        self._completion(request.completion_id)
        del self.completions[current_caller().user_id, request.completion_id]
        return pb.DeleteChatCompletionResponse()

    async def ListChatMessages(self, request, context):
        self._completion(request.completion_id)
        page, has_more = page_of(self.messages[request.completion_id], request.page)
        return pb.ListChatMessagesResponse(messages=page, has_more=has_more)

    def _completion(self, completion_id: str) -> ChatCompletion:
        completion = self.completions.get((current_caller().user_id, completion_id))
        if completion is None:
            raise NotFoundError("No such completion.", reason=ErrorReason.ERROR_REASON_CHAT_COMPLETION_NOT_FOUND)
        return completion
