"""What the caller thinks of the items of a conversation. OpenAI has no such endpoints."""

from fastapi import APIRouter, Request

from rostra.history.v1 import history_service_pb2 as pb
from rostra_gateway.body import read_small_json, validate
from rostra_gateway.dependencies import AdmittedCaller, CurrentClients
from rostra_gateway.idempotency.route import IdempotentRoute
from rostra_gateway.openapi import request_body
from rostra_gateway.path_ids import ConversationId, ItemId
from rostra_gateway.schemas.feedback import DeletedFeedback, Feedback, FeedbackRequest

router = APIRouter(
    prefix="/v1/conversations/{conversation_id}/items/{item_id}/feedback",
    tags=["Feedback"],
    route_class=IdempotentRoute,
)


@router.post("", openapi_extra=request_body(FeedbackRequest))
async def give_feedback(
    request: Request, conversation_id: ConversationId, item_id: ItemId, clients: CurrentClients, _: AdmittedCaller
) -> Feedback:
    """Say what you think of an item, in place of what you said before."""
    body = validate(FeedbackRequest, await read_small_json(request))
    history = clients.history
    answer = await history.call(
        history.stub.UpdateFeedback,
        pb.UpdateFeedbackRequest(conversation_id=conversation_id, item_id=item_id, feedback=body.to_proto()),
    )
    return Feedback.from_proto(answer.feedback, item_id=item_id)


@router.get("")
async def get_feedback(
    conversation_id: ConversationId, item_id: ItemId, clients: CurrentClients, _: AdmittedCaller
) -> Feedback:
    """Get what you said of an item."""
    history = clients.history
    answer = await history.call(
        history.stub.GetFeedback, pb.GetFeedbackRequest(conversation_id=conversation_id, item_id=item_id)
    )
    return Feedback.from_proto(answer.feedback, item_id=item_id)


@router.delete("")
async def delete_feedback(
    conversation_id: ConversationId, item_id: ItemId, clients: CurrentClients, _: AdmittedCaller
) -> DeletedFeedback:
    """Take back what you said of an item."""
    history = clients.history
    await history.call(
        history.stub.DeleteFeedback, pb.DeleteFeedbackRequest(conversation_id=conversation_id, item_id=item_id)
    )
    return DeletedFeedback(item_id=item_id)
