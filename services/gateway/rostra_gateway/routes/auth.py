"""Registration, signing in and out, and the keys that prove access tokens."""

from base64 import urlsafe_b64encode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBearer

from rostra.user.v1 import user_service_pb2 as pb
from rostra_gateway.body import read_small_json, validate
from rostra_gateway.dependencies import (
    CurrentClients,
    CurrentEdge,
    CurrentExchange,
    act_as,
    admit_sign_in,
    admit_stranger,
)
from rostra_gateway.idempotency.route import StrangerRoute
from rostra_gateway.openapi import request_body
from rostra_gateway.schemas.secrets import revealed
from rostra_gateway.schemas.session import (
    LoginRequest,
    LogoutRequest,
    RefreshRequest,
    RegisterRequest,
    Session,
    SigningKey,
    SigningKeySet,
    Tokens,
)

router = APIRouter(tags=["Authentication"])
_registration = APIRouter(route_class=StrangerRoute)
_SIGN_IN = [Depends(admit_sign_in)]
_STRANGER = [Depends(admit_stranger)]


@_registration.post(
    "/v1/auth/register",
    status_code=201,
    dependencies=_SIGN_IN,
    openapi_extra=request_body(RegisterRequest),
)
async def register(request: Request, response: Response, clients: CurrentClients) -> Session:
    """Register an account and sign it in."""
    body = validate(RegisterRequest, await read_small_json(request))
    user = clients.user
    answer = await user.call(
        user.stub.CreateUser,
        pb.CreateUserRequest(
            email=body.email,
            password=revealed(body.password),
            name=body.name,
            invitation_code=revealed(body.invitation_code),
        ),
    )
    _forbid_storing(response)
    return Session.of(answer.user, answer.tokens)


router.include_router(_registration)


@router.post("/v1/auth/login", dependencies=_SIGN_IN, openapi_extra=request_body(LoginRequest))
async def login(request: Request, response: Response, edge: CurrentEdge, exchange: CurrentExchange) -> Session:
    """Sign in with an e-mail address and a password."""
    body = validate(LoginRequest, await read_small_json(request))
    await edge.admission.admit_log_in(body.email, exchange)
    user = edge.clients.user
    answer = await user.call(
        user.stub.CreateSession,
        pb.CreateSessionRequest(email=body.email, password=revealed(body.password)),
    )
    _forbid_storing(response)
    return Session.of(answer.user, answer.tokens)


@router.post("/v1/auth/refresh", dependencies=_STRANGER, openapi_extra=request_body(RefreshRequest))
async def refresh(request: Request, response: Response, clients: CurrentClients) -> Tokens:
    """Exchange a refresh token for new tokens. It works once: presented again, it ends the whole session."""
    body = validate(RefreshRequest, await read_small_json(request))
    user = clients.user
    answer = await user.call(
        user.stub.RefreshSession, pb.RefreshSessionRequest(refresh_token=revealed(body.refresh_token))
    )
    _forbid_storing(response)
    return Tokens.from_proto(answer.tokens)


@router.post(
    "/v1/auth/logout",
    status_code=204,
    dependencies=[*_STRANGER, Depends(HTTPBearer(auto_error=False))],
    # The access token is one of two ways: the empty requirement makes it optional.
    openapi_extra={**request_body(LogoutRequest, required=False), "security": [{}]},
)
async def logout(request: Request, edge: CurrentEdge, exchange: CurrentExchange) -> None:
    """End the session of the refresh token, or of the access token when there is none. Repeating it changes nothing."""
    body = validate(LogoutRequest, await read_small_json(request))
    if body.refresh_token is None:
        session = await edge.authenticator.identify_session(request.headers.get("authorization"))
        act_as(session, session.SerializeToString(), exchange)
    user = edge.clients.user
    await user.call(user.stub.DeleteSession, pb.DeleteSessionRequest(refresh_token=revealed(body.refresh_token)))


@router.get("/.well-known/jwks.json")
async def list_signing_keys(response: Response, edge: CurrentEdge) -> SigningKeySet:
    """List the public keys that access tokens may be signed with, as a JSON Web Key Set."""
    keys = await edge.authenticator.signing_keys.list_published()
    response.headers["cache-control"] = "public, max-age=60"
    return SigningKeySet(keys=[SigningKey(kid=kid, x=_base64url(key)) for kid, key in keys.items()])


def _forbid_storing(response: Response) -> None:
    response.headers["cache-control"] = "no-store"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
