"""A user service that keeps everything in memory."""

import hashlib
import secrets
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.common.v1.caller_pb2 import Caller, Limits, Role
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.user.v1 import api_key_pb2, session_pb2, usage_pb2, user_pb2
from rostra.user.v1 import user_service_pb2 as pb
from rostra.user.v1.user_service_pb2_grpc import UserServiceServicer
from rostra_kit.context import current_caller
from rostra_kit.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, UnauthenticatedError
from rostra_kit.ids import new_id

KID = "2026-11"
ACCESS_TOKEN_SECONDS = 600


def limits_end(user: user_pb2.User) -> Timestamp | None:
    return user.limit_override.end_time if user.HasField("limit_override") else None


class FakeUserService(UserServiceServicer):
    """Keeps accounts, sessions and keys; tests look inside and change them."""

    def __init__(self) -> None:
        self.signing_key = Ed25519PrivateKey.generate()
        self.users: dict[str, user_pb2.User] = {}
        self.passwords: dict[str, str] = {}
        self.sessions: dict[str, str] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.keys: dict[bytes, tuple[str, api_key_pb2.ApiKey]] = {}
        self.lookups = 0
        self.signing_key_listings = 0

    # What tests arrange.

    def add_user(self, email: str = "", *, limits: Limits | None = None, name: str = "", password: str = "") -> str:
        """Add an account and return its id."""
        user_id = new_id("user")
        self.users[user_id] = user_pb2.User(
            id=user_id,
            email=email or f"{user_id}@example.com",
            name=name,
            role=Role.ROLE_USER,
            plan="default",
            limits=limits,
            create_time=now(),
        )
        self.passwords[user_id] = password
        return user_id

    def add_key(self, user_id: str, *, limits: Limits | None = None, name: str = "", ends: float | None = None) -> str:
        """Add an API key to an account and return the secret."""
        secret = f"sk-rostra-{secrets.token_hex(16)}"
        key = api_key_pb2.ApiKey(
            id=new_id("key"), name=name, redacted_secret=f"sk-rostra-…{secret[-4:]}", create_time=now(), limits=limits
        )
        if ends is not None:
            key.expire_time.FromSeconds(int(ends))
        self.keys[digest(secret)] = (user_id, key)
        return secret

    def add_session(self, user_id: str) -> str:
        """Add a session to an account and return its id."""
        session_id = new_id("sess")
        self.sessions[session_id] = user_id
        return session_id

    def access_token(self, session_id: str, *, key: Any = None, kid: str | None = KID, **changes: Any) -> str:
        """Return an access token, with claims changed as `changes` says."""
        issued = int(time.time())
        claims = {
            "iss": "rostra",
            "aud": "rostra",
            "sub": self.sessions.get(session_id, "user_none"),
            "sid": session_id,
            "iat": issued,
            "exp": issued + ACCESS_TOKEN_SECONDS,
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key or self.signing_key, algorithm="EdDSA", headers={"kid": kid} if kid else None)

    def key_id(self, secret: str) -> str:
        """Return the id of a key by its secret."""
        return self.keys[digest(secret)][1].id

    # What the gateway calls.

    async def CreateUser(self, request, context):
        if any(user.email == request.email for user in self.users.values()):
            raise AlreadyExistsError("Taken.", reason=ErrorReason.ERROR_REASON_EMAIL_TAKEN, param="email")
        if len(request.password) < 8:
            raise InvalidArgumentError("Too short.", reason=ErrorReason.ERROR_REASON_UNPROCESSABLE, param="password")
        user_id = self.add_user(request.email, name=request.name, password=request.password)
        return pb.CreateUserResponse(user=self.users[user_id], tokens=self._tokens(self.add_session(user_id)))

    async def CreateSession(self, request, context):
        for user in self.users.values():
            if user.email == request.email and self.passwords[user.id] == request.password:
                return pb.CreateSessionResponse(user=user, tokens=self._tokens(self.add_session(user.id)))
        raise UnauthenticatedError("No.", reason=ErrorReason.ERROR_REASON_INVALID_CREDENTIALS)

    async def RefreshSession(self, request, context):
        session_id = self.refresh_tokens.pop(request.refresh_token, None)
        if session_id not in self.sessions:
            raise UnauthenticatedError("No.", reason=ErrorReason.ERROR_REASON_INVALID_REFRESH_TOKEN)
        return pb.RefreshSessionResponse(tokens=self._tokens(session_id))

    async def DeleteSession(self, request, context):
        session_id = self.refresh_tokens.get(request.refresh_token, "")
        if not request.refresh_token:
            session_id = current_caller().session_id
        self.sessions.pop(session_id, None)
        return pb.DeleteSessionResponse()

    async def ListSigningKeys(self, request, context):
        self.signing_key_listings += 1
        public = self.signing_key.public_key().public_bytes_raw()
        return pb.ListSigningKeysResponse(keys=[session_pb2.SigningKey(kid=KID, public_key=public)])

    async def GetSessionCaller(self, request, context):
        self.lookups += 1
        user_id = self.sessions.get(request.session_id)
        if user_id not in self.users:
            raise UnauthenticatedError("The session has ended.")
        user = self.users[user_id]
        caller = Caller(user_id=user_id, session_id=request.session_id, role=user.role, user_limits=user.limits)
        return pb.GetSessionCallerResponse(caller=caller, limits_end_time=limits_end(user))

    async def GetApiKeyCaller(self, request, context):
        self.lookups += 1
        user_id, key = self.keys.get(request.secret_sha256, ("", None))
        if key is None:
            raise UnauthenticatedError("Incorrect API key provided.")
        user = self.users[user_id]
        caller = Caller(
            user_id=user_id, api_key_id=key.id, role=user.role, user_limits=user.limits, key_limits=key.limits
        )
        expires = key.expire_time if key.HasField("expire_time") else None
        return pb.GetApiKeyCallerResponse(caller=caller, expire_time=expires, limits_end_time=limits_end(user))

    async def GetUser(self, request, context):
        return pb.GetUserResponse(user=self._caller())

    async def UpdateUser(self, request, context):
        user = self._caller()
        if request.HasField("new_password") and request.current_password != self.passwords[user.id]:
            raise UnauthenticatedError("No.", reason=ErrorReason.ERROR_REASON_INVALID_CREDENTIALS)
        for name in ("name", "email"):
            if request.HasField(name):
                setattr(user, name, getattr(request, name))
        return pb.UpdateUserResponse(user=user)

    async def DeleteUser(self, request, context):
        self.users.pop(current_caller().user_id, None)
        return pb.DeleteUserResponse()

    async def CreateApiKey(self, request, context):
        ends = request.expire_time.ToSeconds() if request.HasField("expire_time") else None
        secret = self.add_key(current_caller().user_id, limits=request.limits, name=request.name, ends=ends)
        return pb.CreateApiKeyResponse(api_key=self.keys[digest(secret)][1], secret=secret)

    async def ListApiKeys(self, request, context):
        keys = [key for user_id, key in self.keys.values() if user_id == current_caller().user_id]
        return pb.ListApiKeysResponse(api_keys=keys)

    async def DeleteApiKey(self, request, context):
        for hashed, (user_id, key) in list(self.keys.items()):
            if key.id == request.api_key_id and user_id == current_caller().user_id:
                del self.keys[hashed]
                return pb.DeleteApiKeyResponse()
        raise NotFoundError("No such key.", reason=ErrorReason.ERROR_REASON_API_KEY_NOT_FOUND)

    async def ListUsage(self, request, context):
        bucket = usage_pb2.UsageBucket(
            start_time=request.start_time, model="echo", requests=2, input_tokens=10, output_tokens=5, cost_micros=1500
        )
        return pb.ListUsageResponse(buckets=[bucket], period_cost_micros=2_500_000)

    def _tokens(self, session_id: str) -> session_pb2.SessionTokens:
        refresh_token = f"rt-{secrets.token_hex(16)}"
        self.refresh_tokens[refresh_token] = session_id
        return session_pb2.SessionTokens(
            access_token=self.access_token(session_id),
            refresh_token=refresh_token,
            expires_in=Duration(seconds=ACCESS_TOKEN_SECONDS),
        )

    def _caller(self) -> user_pb2.User:
        user = self.users.get(current_caller().user_id)
        if user is None:
            raise NotFoundError("Gone.", reason=ErrorReason.ERROR_REASON_USER_NOT_FOUND)
        return user


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def now() -> Timestamp:
    return Timestamp(seconds=int(time.time()))
