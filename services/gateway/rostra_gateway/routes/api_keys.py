"""The caller's API keys."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.user.v1 import user_service_pb2 as pb
from rostra_gateway.body import read_small_json, validate
from rostra_gateway.dependencies import AdmittedCaller, CurrentClients
from rostra_gateway.idempotency.route import SecretRoute
from rostra_gateway.lists import PageQuery
from rostra_gateway.openapi import request_body
from rostra_gateway.path_ids import ApiKeyId
from rostra_gateway.schemas.api_key import ApiKey, CreateApiKeyRequest, CreatedApiKey, DeletedApiKey
from rostra_gateway.schemas.list_object import ListObject
from rostra_kit.errors import InvalidArgumentError

router = APIRouter(prefix="/v1/api_keys", tags=["API keys"], route_class=SecretRoute)


@router.get("")
async def list_api_keys(
    page: Annotated[PageQuery, Query()], clients: CurrentClients, _: AdmittedCaller
) -> ListObject[ApiKey]:
    """List the caller's API keys, newest first unless `order` is `asc`."""
    user = clients.user
    answer = await user.call(user.stub.ListApiKeys, pb.ListApiKeysRequest(page=page.to_proto()))
    return ListObject[ApiKey].of([ApiKey.from_proto(key) for key in answer.api_keys], has_more=answer.has_more)


@router.post("", status_code=201, openapi_extra=request_body(CreateApiKeyRequest, required=False))
async def create_api_key(
    request: Request, response: Response, clients: CurrentClients, _: AdmittedCaller
) -> CreatedApiKey:
    """Create an API key. Its `value` is shown here only."""
    body = validate(CreateApiKeyRequest, await read_small_json(request))
    if body.expires_at is not None and body.expires_at <= time.time():
        raise InvalidArgumentError("An API key can only end in the future.", param="expires_at")
    user = clients.user
    answer = await user.call(
        user.stub.CreateApiKey,
        pb.CreateApiKeyRequest(
            name=body.name,
            expire_time=Timestamp(seconds=body.expires_at) if body.expires_at is not None else None,
            limits=body.limits.to_proto() if body.limits else None,
        ),
    )
    response.headers["cache-control"] = "no-store"
    return CreatedApiKey.from_proto(answer.api_key, value=answer.secret)


@router.delete("/{api_key_id}")
async def delete_api_key(api_key_id: ApiKeyId, clients: CurrentClients, _: AdmittedCaller) -> DeletedApiKey:
    """Revoke an API key, everywhere and at once."""
    await clients.user.call(clients.user.stub.DeleteApiKey, pb.DeleteApiKeyRequest(api_key_id=api_key_id))
    return DeletedApiKey(id=api_key_id)
