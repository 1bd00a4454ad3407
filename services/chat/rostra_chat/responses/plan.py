"""Works out what a run of a model needs, before anything is stored, reserved or called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rostra.chat.v1.chat_service_pb2 import ResponseState
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_chat.catalogue import Model
from rostra_chat.chat_request import Demand, measure
from rostra_chat.errors import ContextLengthExceeded
from rostra_chat.providers.provider import Body, Provider
from rostra_chat.responses.request import ResponseRequest
from rostra_chat.responses.response_object import Response, begun
from rostra_chat.responses.store import Context, Item
from rostra_chat.responses.to_chat import to_chat
from rostra_chat.responses.truncation import truncate
from rostra_kit.errors import InvalidArgumentError
from rostra_kit.ids import new_id
from rostra_kit.items import normalise_item


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All that a run needs to know.

    Attributes:
        model: The model to be run.
        provider: Who runs it.
        body: What the provider is asked, a chat completion.
        response: The response object of a run that begins.
        input_items: The input as it is stored, in its normal form.
        demand: What the run can come to.
        branch_point: The point of a conversation that it continues, as the store wrote it down; empty for none.
    """

    model: Model
    provider: Provider
    body: Body
    response: Response
    input_items: tuple[Item, ...]
    demand: Demand
    branch_point: bytes


def make_plan(
    request: ResponseRequest,
    *,
    model: Model,
    provider: Provider,
    context: Context,
    state: ResponseState,
    default_max_output_tokens: int,
) -> RunPlan:
    """Return the plan of the run that answers `request`.

    Args:
        request: What the client asked for.
        model: The model that it names.
        provider: Who runs the model.
        context: What the response continues.
        state: What state it reads and leaves.
        default_max_output_tokens: The bound of an answer that neither the request nor the model bounds.

    Raises:
        InvalidArgumentError: There is no input, or it cannot be said to a provider.
        ContextLengthExceeded: Context, input and answer do not fit the model.
    """
    input_items = normal_input(request.input, context)
    items = [*context.items, *input_items]
    if not items:
        raise missing_input()
    body = to_fitting_chat(request, items, model=model)
    return RunPlan(
        model=model,
        provider=provider,
        body=body,
        response=begun(
            request,
            response_id=new_id("resp"),
            store=state.store,
            previous_response_id=state.previous_response_id,
            conversation_id=state.conversation_id,
        ),
        input_items=input_items,
        demand=_measure(model, body, default_max_output_tokens),
        branch_point=context.branch_point,
    )


def normal_input(given: Iterable[Item], context: Context) -> tuple[Item, ...]:
    """Return the input in its normal form under new ids; a reference becomes a copy of what it refers to.

    Raises:
        InvalidArgumentError: An item cannot be.
    """
    referenced = iter(context.referenced)
    meant = (next(referenced) if item["type"] == "item_reference" else item for item in given)
    return tuple(normalise_item(item, param=f"input[{position}]") for position, item in enumerate(meant))


def to_fitting_chat(request: ResponseRequest, items: Sequence[Item], *, model: Model) -> Body:
    """Return the chat completion that answers `request`, cut to the model's window where the client wants that."""
    body = to_chat(request, items, model=model)
    return truncate(body, model=model) if request.truncation == "auto" else body


def missing_input() -> InvalidArgumentError:
    """Return the error of a request that says nothing and continues nothing."""
    return InvalidArgumentError(
        "Missing required parameter: 'input'.",
        reason=ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER,
        param="input",
    )


def _measure(model: Model, body: Body, default_max_output_tokens: int) -> Demand:
    try:
        return measure(model, body, default_max_output_tokens=default_max_output_tokens)
    except ContextLengthExceeded as error:
        # What are messages to the provider is the input to the client.
        raise ContextLengthExceeded(error.message, param="input") from error
