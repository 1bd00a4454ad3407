"""Sessions: how they begin, go on and end, and the keys that prove them."""

from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr

from rostra.user.v1 import session_pb2, user_pb2
from rostra_gateway.schemas.fields import Email, Name
from rostra_gateway.schemas.secrets import SECRETIVE
from rostra_gateway.schemas.user import User


class RegisterRequest(BaseModel):
    """The body of `POST /v1/auth/register`."""

    model_config = SECRETIVE
    email: Email
    password: SecretStr = Field(max_length=1024, description="8 to 256 characters.")
    name: Name = ""
    invitation_code: SecretStr | None = Field(None, max_length=256, description="Where only the invited may register.")


class LoginRequest(BaseModel):
    """The body of `POST /v1/auth/login`."""

    model_config = SECRETIVE
    email: Email
    password: SecretStr = Field(max_length=1024)


class RefreshRequest(BaseModel):
    """The body of `POST /v1/auth/refresh`."""

    model_config = SECRETIVE
    refresh_token: SecretStr = Field(max_length=4096, description="The session's newest refresh token.")


class LogoutRequest(BaseModel):
    """The body of `POST /v1/auth/logout`; without one, the access token's session ends."""

    model_config = SECRETIVE
    refresh_token: SecretStr | None = Field(None, max_length=4096, description="A refresh token of the session.")


class Tokens(BaseModel):
    """The tokens of a session."""

    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a kind of token, not one
    expires_in: int = Field(description="Seconds for which the access token is valid.")

    @classmethod
    def from_proto(cls, tokens: session_pb2.SessionTokens, **more: User) -> Self:
        """Return the tokens as clients see them, with what a subclass has `more`."""
        return cls(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_in=tokens.expires_in.ToSeconds(),
            **more,
        )


class Session(Tokens):
    """An account and the tokens of a new session of it."""

    user: User

    @classmethod
    def of(cls, user: user_pb2.User, tokens: session_pb2.SessionTokens) -> Self:
        """Return the session as clients see it."""
        return cls.from_proto(tokens, user=User.from_proto(user))


class SigningKey(BaseModel):
    """A public key of access tokens, as RFC 8037 writes it."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"
    kid: str
    x: str = Field(description="The key, in base64url.")


class SigningKeySet(BaseModel):
    """The public keys that access tokens may be signed with."""

    keys: list[SigningKey]
