"""The models on offer, as OpenAI lists them."""

from typing import Any

from fastapi import APIRouter

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.model_pb2 import Model
from rostra_gateway.dependencies import AdmittedCaller, CurrentClients
from rostra_gateway.path_ids import ModelId

router = APIRouter(prefix="/v1/models", tags=["Models"])


@router.get("")
async def list_models(clients: CurrentClients, _: AdmittedCaller) -> dict[str, Any]:
    """List the models on offer."""
    answer = await clients.chat.call(clients.chat.stub.ListModels, pb.ListModelsRequest())
    return {"object": "list", "data": [_model(model) for model in answer.models]}


@router.get("/{model:path}")
async def get_model(model: ModelId, clients: CurrentClients, _: AdmittedCaller) -> dict[str, Any]:
    """Get one model. Names may hold slashes, as those of vLLM's models do."""
    answer = await clients.chat.call(clients.chat.stub.GetModel, pb.GetModelRequest(id=model))
    return _model(answer.model)


def _model(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "object": "model",
        "created": model.create_time.ToSeconds(),
        "owned_by": model.owned_by,
    }
