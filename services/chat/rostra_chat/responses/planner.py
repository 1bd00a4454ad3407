"""Turns a request as it came into the plan of a run: reads it, finds the model, loads what it continues."""

from rostra.chat.v1.chat_service_pb2 import ResponseState
from rostra_chat.chat_request import parse_body
from rostra_chat.models import ModelDirectory
from rostra_chat.responses.fields import unsupported
from rostra_chat.responses.input_items import referenced_ids
from rostra_chat.responses.plan import RunPlan, make_plan
from rostra_chat.responses.request import ResponseRequest
from rostra_chat.responses.store import Context, Item, ResponseStore


class Planner:
    """Plans runs for the caller of the request under way.

    Args:
        models: Finds a model and its provider.
        store: Knows what a response continues.
        default_max_output_tokens: The bound of an answer that neither the request nor the model bounds.
    """

    def __init__(self, *, models: ModelDirectory, store: ResponseStore, default_max_output_tokens: int) -> None:
        self._models = models
        self._store = store
        self._default_max_output_tokens = default_max_output_tokens

    async def plan(self, body: bytes, state: ResponseState, *, response_id: str = "") -> RunPlan:
        """Return the plan of the run that answers a body of `POST /v1/responses`.

        Args:
            body: The body.
            state: What the response continues.
            response_id: The response, if it is stored already.

        Raises:
            AppError: The request cannot be, or history is away.
        """
        request = ResponseRequest.parse(parse_body(body))
        if request.background and not state.background:
            raise unsupported("background", "Background responses need a gateway that knows of them.")
        model, provider = await self._models.get(request.model)
        return make_plan(
            request,
            model=model,
            provider=provider,
            context=await load_context(self._store, request.input, state, response_id=response_id),
            state=state,
            default_max_output_tokens=self._default_max_output_tokens,
        )


async def load_context(
    store: ResponseStore, items: tuple[Item, ...], state: ResponseState, *, response_id: str = ""
) -> Context:
    """Return what an input of `items` continues; most continue nothing and cost history nothing.

    Raises:
        AppError: A part of it does not exist, or history is away.
    """
    item_ids = referenced_ids(items)
    if not (state.previous_response_id or state.conversation_id or item_ids):
        return Context()
    return await store.load_context(
        previous_response_id=state.previous_response_id,
        conversation_id=state.conversation_id,
        item_ids=item_ids,
        response_id=response_id if state.conversation_id else "",
    )
