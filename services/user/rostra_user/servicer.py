"""The user service over gRPC: translate, call, translate. Errors pass through untouched."""

# ruff: noqa: ARG002 - gRPC passes a context that no RPC here needs, and some requests are empty

from __future__ import annotations  # grpc's types are generic only for the type checker

from datetime import UTC, datetime
from typing import Any

import grpc

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.user.v1 import session_pb2
from rostra.user.v1 import user_service_pb2 as pb
from rostra.user.v1.user_service_pb2_grpc import UserServiceServicer
from rostra_kit.context import current_caller
from rostra_kit.errors import InvalidArgumentError
from rostra_user import mapping
from rostra_user.clock import Clock
from rostra_user.service.accounts import AccountService, ChangeRequest
from rostra_user.service.api_keys import ApiKeyService
from rostra_user.service.sessions import SessionService
from rostra_user.service.usage import UsageService

Context = grpc.aio.ServicerContext[Any, Any]

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class UserServicer(UserServiceServicer):
    """Answers the RPCs of `rostra.user.v1.UserService`."""

    def __init__(
        self,
        *,
        accounts: AccountService,
        sessions: SessionService,
        api_keys: ApiKeyService,
        usage: UsageService,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._api_keys = api_keys
        self._usage = usage
        self._clock = clock

    async def CreateUser(self, request: pb.CreateUserRequest, context: Context) -> pb.CreateUserResponse:
        """Register an account and sign it in."""
        user, tokens = await self._accounts.register(
            email=request.email,
            password=request.password,
            name=request.name,
            invitation_code=request.invitation_code,
        )
        return pb.CreateUserResponse(
            user=mapping.user_to_proto(user, now=self._clock()), tokens=mapping.tokens_to_proto(tokens)
        )

    async def CreateSession(self, request: pb.CreateSessionRequest, context: Context) -> pb.CreateSessionResponse:
        """Sign in."""
        user, tokens = await self._sessions.sign_in(request.email, request.password)
        return pb.CreateSessionResponse(
            user=mapping.user_to_proto(user, now=self._clock()), tokens=mapping.tokens_to_proto(tokens)
        )

    async def RefreshSession(self, request: pb.RefreshSessionRequest, context: Context) -> pb.RefreshSessionResponse:
        """Exchange a refresh token for new tokens."""
        tokens = await self._sessions.refresh(request.refresh_token)
        return pb.RefreshSessionResponse(tokens=mapping.tokens_to_proto(tokens))

    async def DeleteSession(self, request: pb.DeleteSessionRequest, context: Context) -> pb.DeleteSessionResponse:
        """Sign out, by a refresh token or as the session that calls."""
        if request.refresh_token:
            await self._sessions.sign_out(request.refresh_token)
        else:
            await self._sessions.sign_out_session(current_caller().user_id, _calling_session_id())
        return pb.DeleteSessionResponse()

    async def ListSigningKeys(self, request: pb.ListSigningKeysRequest, context: Context) -> pb.ListSigningKeysResponse:
        """List the public keys of access tokens."""
        keys = self._sessions.public_keys().items()
        return pb.ListSigningKeysResponse(
            keys=[session_pb2.SigningKey(kid=kid, public_key=key.public_bytes_raw()) for kid, key in keys]
        )

    async def GetSessionCaller(
        self, request: pb.GetSessionCallerRequest, context: Context
    ) -> pb.GetSessionCallerResponse:
        """Get whom a live session stands for."""
        identity = await self._sessions.identify(request.session_id)
        return pb.GetSessionCallerResponse(
            caller=mapping.caller_to_proto(identity),
            limits_end_time=mapping.optional_to_timestamp(identity.limits_end_time),
        )

    async def GetApiKeyCaller(self, request: pb.GetApiKeyCallerRequest, context: Context) -> pb.GetApiKeyCallerResponse:
        """Get whom a live API key stands for."""
        identity = await self._api_keys.identify(request.secret_sha256)
        return pb.GetApiKeyCallerResponse(
            caller=mapping.caller_to_proto(identity),
            expire_time=mapping.optional_to_timestamp(identity.expire_time),
            limits_end_time=mapping.optional_to_timestamp(identity.limits_end_time),
        )

    async def GetUser(self, request: pb.GetUserRequest, context: Context) -> pb.GetUserResponse:
        """Get the caller's account."""
        user = await self._accounts.get(current_caller().user_id)
        return pb.GetUserResponse(user=mapping.user_to_proto(user, now=self._clock()))

    async def UpdateUser(self, request: pb.UpdateUserRequest, context: Context) -> pb.UpdateUserResponse:
        """Change the caller's account."""
        caller = current_caller()
        change = ChangeRequest(
            name=request.name if request.HasField("name") else None,
            email=request.email if request.HasField("email") else None,
            new_password=request.new_password if request.HasField("new_password") else None,
            current_password=request.current_password,
        )
        user = await self._accounts.change(caller.user_id, change, session_id=caller.session_id)
        return pb.UpdateUserResponse(user=mapping.user_to_proto(user, now=self._clock()))

    async def DeleteUser(self, request: pb.DeleteUserRequest, context: Context) -> pb.DeleteUserResponse:
        """Delete the caller's account and all that they stored."""
        await self._accounts.delete(current_caller().user_id)
        return pb.DeleteUserResponse()

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        """Create an API key."""
        api_key, secret = await self._api_keys.create(
            current_caller().user_id,
            name=request.name,
            expire_time=mapping.optional_moment(request, "expire_time"),
            limits=mapping.limits_from_proto(request.limits),
        )
        return pb.CreateApiKeyResponse(api_key=mapping.api_key_to_proto(api_key), secret=secret)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        """List the caller's API keys."""
        page = mapping.page_from_proto(request.page)
        api_keys, has_more = await self._api_keys.list(current_caller().user_id, page)
        return pb.ListApiKeysResponse(api_keys=map(mapping.api_key_to_proto, api_keys), has_more=has_more)

    async def DeleteApiKey(self, request: pb.DeleteApiKeyRequest, context: Context) -> pb.DeleteApiKeyResponse:
        """Revoke an API key of the caller's."""
        await self._api_keys.revoke(current_caller().user_id, request.api_key_id)
        return pb.DeleteApiKeyResponse()

    async def ListUsage(self, request: pb.ListUsageRequest, context: Context) -> pb.ListUsageResponse:
        """List what the caller used."""
        buckets, spent_micros = await self._usage.list(
            current_caller().user_id,
            start=mapping.optional_moment(request, "start_time") or _BEGINNING,
            end=mapping.optional_moment(request, "end_time"),
        )
        return pb.ListUsageResponse(buckets=map(mapping.bucket_to_proto, buckets), period_cost_micros=spent_micros)

    async def GetSpend(self, request: pb.GetSpendRequest, context: Context) -> pb.GetSpendResponse:
        """Get the money that the caller, or one of their keys, spent in a month."""
        cost_micros = await self._usage.spend(current_caller().user_id, request.month, api_key_id=request.api_key_id)
        return pb.GetSpendResponse(cost_micros=cost_micros)


def _calling_session_id() -> str:
    session_id = current_caller().session_id
    if not session_id:
        raise InvalidArgumentError(
            "An API key has no session to sign out of: name one by its refresh token.",
            reason=ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER,
            param="refresh_token",
        )
    return session_id
