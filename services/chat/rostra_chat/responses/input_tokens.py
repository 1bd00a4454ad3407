"""The use case behind `POST /v1/responses/input_tokens`: the estimate that a run would reserve, and nothing else."""

from datetime import UTC, datetime

from rostra.chat.v1.chat_service_pb2 import CountInputTokensRequest, CountInputTokensResponse
from rostra_chat.catalogue import Model
from rostra_chat.chat_request import parse_body
from rostra_chat.models import ModelDirectory
from rostra_chat.responses.plan import normal_input, to_fitting_chat
from rostra_chat.responses.planner import load_context
from rostra_chat.responses.request import ResponseRequest
from rostra_chat.responses.store import ResponseStore
from rostra_chat.tokens import estimate_request_tokens

_ANY_MODEL = Model(id="", provider="", upstream_name="", create_time=datetime(2026, 1, 1, tzinfo=UTC))


class InputTokens:
    """Counts what a response would be given. Nothing is reserved, stored or called.

    Args:
        models: Finds the model, where one is named.
        store: Knows what the input continues.
    """

    def __init__(self, *, models: ModelDirectory, store: ResponseStore) -> None:
        self._models = models
        self._store = store

    async def count(self, asked: CountInputTokensRequest) -> CountInputTokensResponse:
        """Return the estimate, also of what fits no model: that is what clients want to learn.

        Raises:
            AppError: The request cannot be, the model is unknown, or history is away.
        """
        body = parse_body(asked.body)
        request = ResponseRequest.parse(
            {**body, "model": _ANY_MODEL.id if body.get("model") is None else body["model"]}
        )
        model = (await self._models.get(request.model))[0] if body.get("model") is not None else _ANY_MODEL
        context = await load_context(self._store, request.input, asked.state)
        items = [*context.items, *normal_input(request.input, context)]
        chat = to_fitting_chat(request, items, model=model)
        return CountInputTokensResponse(input_tokens=estimate_request_tokens(chat))
