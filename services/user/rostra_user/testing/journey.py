"""What clients do first, in few words: register, sign in, refresh, make a key."""

from typing import TYPE_CHECKING, Any

import jwt

from rostra.user.v1 import session_pb2
from rostra.user.v1 import user_service_pb2 as pb
from rostra_kit.client import ServiceClient
from rostra_kit.errors import UnauthenticatedError

if TYPE_CHECKING:
    from rostra.user.v1.user_service_pb2_grpc import UserServiceAsyncStub

    UserClient = ServiceClient[UserServiceAsyncStub]
else:  # the asynchronous stub exists for the type checker only
    UserClient = ServiceClient

EMAIL = "alice@example.com"
PASSWORD = "correct horse"  # noqa: S105 - nobody's


async def register(client: UserClient, **changes: str) -> pb.CreateUserResponse:
    """Register Alice, or somebody else."""
    request = pb.CreateUserRequest(**{"email": EMAIL, "password": PASSWORD, "name": "Alice"} | changes)
    return await client.call(client.stub.CreateUser, request)


async def sign_in(client: UserClient, email: str = EMAIL, password: str = PASSWORD) -> pb.CreateSessionResponse:
    """Start another session."""
    return await client.call(client.stub.CreateSession, pb.CreateSessionRequest(email=email, password=password))


async def refresh(client: UserClient, refresh_token: str) -> str:
    """Return the refresh token that takes this one's place."""
    request = pb.RefreshSessionRequest(refresh_token=refresh_token)
    answer: pb.RefreshSessionResponse = await client.call(client.stub.RefreshSession, request)
    return answer.tokens.refresh_token


async def create_api_key(client: UserClient, **fields: Any) -> pb.CreateApiKeyResponse:
    """Create an API key of the caller's."""
    return await client.call(client.stub.CreateApiKey, pb.CreateApiKeyRequest(**fields))


def session_id(tokens: session_pb2.SessionTokens) -> str:
    """Return the session that an access token names."""
    claims: dict[str, str] = jwt.decode(tokens.access_token, options={"verify_signature": False})
    return claims["sid"]


async def is_live(client: UserClient, tokens: session_pb2.SessionTokens) -> bool:
    """Tell whether the session of an access token still stands for somebody."""
    request = pb.GetSessionCallerRequest(session_id=session_id(tokens))
    try:
        await client.call(client.stub.GetSessionCaller, request)
    except UnauthenticatedError:
        return False
    return True
