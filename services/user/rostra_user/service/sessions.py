"""Signing in, staying signed in and signing out."""

import hmac
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from rostra_kit.revocation import Revocation
from rostra_kit.tasks import uninterrupted
from rostra_user.clock import Clock
from rostra_user.domain import Account, AuditKind, AuditOutcome, Identity, Session, User
from rostra_user.email_address import comparable, parse_email
from rostra_user.errors import (
    InvalidApiKeyError,
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    UnacceptableError,
)
from rostra_user.metrics import UserMetrics
from rostra_user.passwords import PasswordHasher
from rostra_user.revocations import Revocations
from rostra_user.secret import RefreshToken, sha256
from rostra_user.service.audit import AuditLog
from rostra_user.service.tokens import SessionTokens, TokenIssuer
from rostra_user.store import AccountStore, SessionStore

_LONGEST_EMAIL = 320


class SessionService:
    """Signs users in and out."""

    def __init__(
        self,
        *,
        accounts: AccountStore,
        sessions: SessionStore,
        hasher: PasswordHasher,
        issuer: TokenIssuer,
        audit: AuditLog,
        revocations: Revocations,
        metrics: UserMetrics,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._hasher = hasher
        self._issuer = issuer
        self._audit = audit
        self._revocations = revocations
        self._metrics = metrics
        self._clock = clock

    async def sign_in(self, email: str, password: str) -> tuple[User, SessionTokens]:
        """Start a session.

        Raises:
            InvalidCredentialsError: Address and password do not match an account; which of them is wrong stays unsaid,
                also by the time that it takes.
        """
        account = await self._find(email)
        is_right = await self._hasher.matches(password, account.password_hash if account else None)
        if account is None or not is_right or account.user.disabled:
            await self._note_refusal(email, account)
            raise InvalidCredentialsError
        password_hash = await self._renew_hash(account, password)
        now = self._clock()
        session, refresh_token = self._issuer.new_session(account.user.id, now)
        user_id = account.user.id
        logged_in = self._audit.event(AuditKind.LOGGED_IN, user_id=user_id, actor_id=user_id, target=session.id)
        await self._sessions.create(session, password_hash=password_hash, audit=logged_in)
        self._metrics.log_ins.labels("ok").inc()
        return account.user, self._issuer.tokens(user_id, refresh_token, now)

    async def refresh(self, refresh_token: str) -> SessionTokens:
        """Exchange a refresh token for new tokens.

        Raises:
            InvalidRefreshTokenError: It is unknown or expired; or it was used before, which ends the session, because
                one of the two who had it is a thief.
        """
        presented = RefreshToken.parse(refresh_token)
        session = await self._session_of(presented)
        now = self._clock()
        if presented is None or session is None or session.expire_time <= now:
            self._metrics.refreshes.labels("refused").inc()
            raise InvalidRefreshTokenError
        renewed = presented.next()
        is_newest = await self._sessions.rotate(
            session.id,
            old_digest=sha256(presented.token),
            new_digest=sha256(renewed.token),
            expire_time=self._issuer.expire_time(now),
        )
        if not is_newest:
            self._metrics.refreshes.labels("reused").inc()
            await uninterrupted(self._end(session.id, session.user_id, kind=AuditKind.REFRESH_TOKEN_REUSED))
            raise InvalidRefreshTokenError
        self._metrics.refreshes.labels("ok").inc()
        return self._issuer.tokens(session.user_id, renewed, now)

    async def sign_out(self, refresh_token: str) -> None:
        """End the session that a refresh token is of; one that has ended is left as it is.

        Raises:
            InvalidRefreshTokenError: This is no refresh token.
        """
        presented = RefreshToken.parse(refresh_token)
        if presented is None:
            raise InvalidRefreshTokenError
        session = await self._session_of(presented)
        if session is not None:
            await uninterrupted(self._end(session.id, session.user_id, actor_id=session.user_id))

    async def sign_out_session(self, user_id: str, session_id: str) -> None:
        """End the user's session, as which they call; one that has ended is left as it is."""
        await uninterrupted(self._end(session_id, user_id))

    async def identify(self, session_id: str) -> Identity:
        """Return whom a live session stands for, or raise `InvalidApiKeyError`."""
        identity = await self._sessions.identify(session_id, self._clock())
        if identity is None:
            raise InvalidApiKeyError
        return identity

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """Return all keys that access tokens may be signed with, by their name."""
        return self._issuer.public_keys()

    async def _find(self, email: str) -> Account | None:
        try:
            return await self._accounts.find_by_email(parse_email(email).key)
        except UnacceptableError:
            return None

    async def _renew_hash(self, account: Account, password: str) -> str:
        """Return the hash that stands for the password from now on."""
        old_hash = account.password_hash
        if not self._hasher.is_outdated(old_hash):
            return old_hash
        new_hash = await self._hasher.hash(password)
        is_replaced = await self._accounts.replace_hash(account.user.id, old_hash=old_hash, new_hash=new_hash)
        return new_hash if is_replaced else old_hash

    async def _session_of(self, presented: RefreshToken | None) -> Session | None:
        session = await self._sessions.get(presented.session_id) if presented else None
        if presented is None or session is None:
            return None
        is_family = hmac.compare_digest(session.family_digest, sha256(presented.family))
        return session if is_family else None

    async def _note_refusal(self, email: str, account: Account | None) -> None:
        """Count and record a refusal; the work is the same whether the account exists or not."""
        self._metrics.log_ins.labels("refused").inc()
        failed = self._audit.event(
            AuditKind.LOGIN_FAILED,
            user_id=account.user.id if account else "",
            outcome=AuditOutcome.REFUSED,
            detail="disabled" if account and account.user.disabled else "",
            email_key=comparable(email.strip()[:_LONGEST_EMAIL]),
        )
        await self._audit.append(failed)

    async def _end(
        self,
        session_id: str,
        user_id: str,
        *,
        actor_id: str | None = None,
        kind: AuditKind = AuditKind.SESSION_ENDED,
    ) -> None:
        ended = self._audit.event(kind, user_id=user_id, actor_id=actor_id, target=session_id)
        if await self._sessions.delete(session_id, audit=ended):
            await self._revocations.publish(Revocation("session", session_id))
