"""Making sessions and the tokens that their clients hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from rostra_kit.ids import new_id
from rostra_user.access_token import sign_access_token
from rostra_user.domain import Session
from rostra_user.secret import RefreshToken, sha256
from rostra_user.settings import SessionSettings
from rostra_user.signing_keys import SigningKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTokens:
    """What a client holds of its session."""

    access_token: str
    refresh_token: str
    expires_in: timedelta


class TokenIssuer:
    """Makes sessions and their tokens."""

    def __init__(self, keys: SigningKeys, settings: SessionSettings) -> None:
        self._keys = keys
        self._access_lifetime = timedelta(seconds=settings.access_token_seconds)
        self._refresh_lifetime = timedelta(seconds=settings.refresh_token_seconds)

    def new_session(self, user_id: str, now: datetime) -> tuple[Session, RefreshToken]:
        """Return a session, not stored yet, and its first refresh token."""
        refresh_token = RefreshToken.first(new_id("sess"))
        session = Session(
            id=refresh_token.session_id,
            user_id=user_id,
            family_digest=sha256(refresh_token.family),
            token_digest=sha256(refresh_token.token),
            create_time=now,
            expire_time=self.expire_time(now),
        )
        return session, refresh_token

    def expire_time(self, now: datetime) -> datetime:
        """Return when a refresh token made now ends."""
        return now + self._refresh_lifetime

    def tokens(self, user_id: str, refresh_token: RefreshToken, now: datetime) -> SessionTokens:
        """Return the tokens that a client gets."""
        access_token = sign_access_token(
            self._keys.ring,
            user_id=user_id,
            session_id=refresh_token.session_id,
            now=now,
            lifetime=self._access_lifetime,
        )
        return SessionTokens(
            access_token=access_token, refresh_token=str(refresh_token), expires_in=self._access_lifetime
        )

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """Return all keys that access tokens may be signed with, by their name."""
        return {kid: key.public_key() for kid, key in self._keys.ring.keys.items()}
