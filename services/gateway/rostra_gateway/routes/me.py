"""The caller's own account."""

from fastapi import APIRouter, Request

from rostra.user.v1 import user_service_pb2 as pb
from rostra_gateway.body import read_small_json, validate
from rostra_gateway.dependencies import AdmittedCaller, CurrentClients
from rostra_gateway.openapi import request_body
from rostra_gateway.schemas.secrets import revealed
from rostra_gateway.schemas.user import UpdateMeRequest, User

router = APIRouter(prefix="/v1/me", tags=["Account"])


@router.get("")
async def get_me(clients: CurrentClients, _: AdmittedCaller) -> User:
    """Get the caller's account."""
    answer = await clients.user.call(clients.user.stub.GetUser, pb.GetUserRequest())
    return User.from_proto(answer.user)


@router.patch("", openapi_extra=request_body(UpdateMeRequest, required=False))
async def update_me(request: Request, clients: CurrentClients, _: AdmittedCaller) -> User:
    """Change the caller's account. A new address or password asks for the present password."""
    body = validate(UpdateMeRequest, await read_small_json(request))
    change = pb.UpdateUserRequest(
        name=body.name,
        email=body.email,
        new_password=revealed(body.new_password),
        current_password=revealed(body.current_password),
    )
    answer = await clients.user.call(clients.user.stub.UpdateUser, change)
    return User.from_proto(answer.user)


@router.delete("", status_code=204)
async def delete_me(clients: CurrentClients, _: AdmittedCaller) -> None:
    """Delete the caller's account and all that they stored."""
    await clients.user.call(clients.user.stub.DeleteUser, pb.DeleteUserRequest())
