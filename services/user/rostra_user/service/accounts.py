"""Registering, changing and deleting accounts."""

import hmac
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import InvalidArgumentError
from rostra_kit.ids import new_id
from rostra_kit.revocation import Revocation
from rostra_kit.tasks import uninterrupted
from rostra_user.clock import Clock
from rostra_user.domain import AccountChange, AuditEvent, AuditKind, AuditOutcome, NewAccount, User
from rostra_user.email_address import comparable, parse_email
from rostra_user.errors import EmailTakenError, RegistrationClosedError, WrongPasswordError
from rostra_user.metrics import UserMetrics
from rostra_user.passwords import PasswordHasher, accept_password
from rostra_user.revocations import Revocations
from rostra_user.service.audit import AuditLog
from rostra_user.service.erasure import ErasureService
from rostra_user.service.tokens import SessionTokens, TokenIssuer
from rostra_user.store import AccountStore
from rostra_user.text import accept_text

NAME_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationPolicy:
    """Who may register an account."""

    mode: Literal["open", "invited", "closed"]
    invitation_code: SecretStr | None = None

    def check(self, invitation_code: str) -> None:
        """Raise `RegistrationClosedError` unless somebody with this code may register."""
        if self.mode == "closed":
            raise RegistrationClosedError("New accounts cannot be registered here.")
        expected = self.invitation_code.get_secret_value() if self.invitation_code else ""
        if self.mode == "invited" and not hmac.compare_digest(_encoded(expected), _encoded(invitation_code)):
            raise RegistrationClosedError("This needs the right invitation code.", param="invitation_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """What a user wants changed in their account; `None` keeps what is there."""

    name: str | None = None
    email: str | None = None
    new_password: str | None = None
    current_password: str = ""

    @property
    def needs_password(self) -> bool:
        """Tell whether the present password is asked for."""
        return self.email is not None or self.new_password is not None


class AccountService:
    """Keeps accounts."""

    def __init__(  # noqa: PLR0913 - each is a part of its own
        self,
        *,
        accounts: AccountStore,
        hasher: PasswordHasher,
        issuer: TokenIssuer,
        revocations: Revocations,
        erasure: ErasureService,
        audit: AuditLog,
        registration: RegistrationPolicy,
        metrics: UserMetrics,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._hasher = hasher
        self._issuer = issuer
        self._revocations = revocations
        self._erasure = erasure
        self._audit = audit
        self._registration = registration
        self._metrics = metrics
        self._clock = clock

    async def register(
        self, *, email: str, password: str, name: str, invitation_code: str
    ) -> tuple[User, SessionTokens]:
        """Create an account and sign it in.

        Raises:
            RegistrationClosedError: Not here, or not without the right code.
            UnacceptableError: Address, password or name is not acceptable.
            EmailTakenError: Another account has the address.
        """
        try:
            self._registration.check(invitation_code)
        except RegistrationClosedError:
            self._metrics.sign_ups.labels("closed").inc()
            raise
        address = parse_email(email)
        accept_password(password, email_key=address.key, param="password")
        accept_text(name, param="name", max_length=NAME_LENGTH)
        password_hash = await self._hasher.hash(password)
        now, user_id = self._clock(), new_id("user")
        account = NewAccount(user_id=user_id, email=address, name=name, password_hash=password_hash, create_time=now)
        session, refresh_token = self._issuer.new_session(user_id, now)
        registered = self._audit.event(
            AuditKind.REGISTERED, user_id=user_id, actor_id=user_id, target=session.id, email_key=address.key
        )
        try:
            user = await self._accounts.create(account, session, audit=registered)
        except EmailTakenError:
            self._metrics.sign_ups.labels("taken").inc()
            await self._audit.append(
                self._audit.event(AuditKind.REGISTERED, outcome=AuditOutcome.REFUSED, email_key=address.key)
            )
            raise
        self._metrics.sign_ups.labels("created").inc()
        return user, self._issuer.tokens(user_id, refresh_token, now)

    async def get(self, user_id: str) -> User:
        """Return the account, or raise `UserNotFoundError`."""
        return (await self._accounts.get(user_id)).user

    async def change(self, user_id: str, request: ChangeRequest, *, session_id: str) -> User:
        """Change the account; a new password ends all sessions but `session_id`.

        Raises:
            UserNotFoundError: The account is gone.
            InvalidArgumentError: The present password is needed and absent.
            WrongPasswordError: It is not right.
            UnacceptableError: The new address, password or name is not acceptable.
            EmailTakenError: Another account has the new address.
        """
        if request.name is not None:
            accept_text(request.name, param="name", max_length=NAME_LENGTH)
        if request.needs_password:
            await self._change_credentials(user_id, request, session_id)
        elif request.name is not None:
            await self._accounts.rename(user_id, request.name)
        return await self.get(user_id)

    async def delete(self, user_id: str) -> None:
        """Delete the account at once, then all that the user stored anywhere. Repeating the call changes nothing.

        Raises:
            UnavailableError: Something could not be erased now. The account is gone all the same, and the rest is
                erased in the background.
        """
        await uninterrupted(self._delete(user_id))
        await self._erasure.erase(user_id)

    async def _change_credentials(self, user_id: str, request: ChangeRequest, session_id: str) -> None:
        if not request.current_password:
            raise InvalidArgumentError(
                "A new e-mail address or password needs the present password.",
                reason=ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER,
                param="current_password",
            )
        account = await self._accounts.get(user_id)
        address = None if request.email is None else parse_email(request.email)
        email_key = address.key if address else comparable(account.user.email)
        if request.new_password is not None:
            accept_password(request.new_password, email_key=email_key, param="new_password")
        if not await self._hasher.matches(request.current_password, account.password_hash):
            raise WrongPasswordError
        change = AccountChange(
            name=request.name,
            email=address,
            password_hash=None if request.new_password is None else await self._hasher.hash(request.new_password),
        )
        await uninterrupted(self._update(user_id, change, account.password_hash, session_id))

    async def _update(self, user_id: str, change: AccountChange, password_hash: str, session_id: str) -> None:
        ended = await self._accounts.update(
            user_id, change, password_hash=password_hash, keep_session_id=session_id, audit=self._told(user_id, change)
        )
        await self._revocations.publish(*(Revocation("session", session_id) for session_id in ended))

    def _told(self, user_id: str, change: AccountChange) -> list[AuditEvent]:
        events = []
        if change.password_hash is not None:
            events.append(self._audit.event(AuditKind.PASSWORD_CHANGED, user_id=user_id))
        if change.email is not None:
            events.append(self._audit.event(AuditKind.EMAIL_CHANGED, user_id=user_id, email_key=change.email.key))
        return events

    async def _delete(self, user_id: str) -> None:
        deleted = self._audit.event(AuditKind.ACCOUNT_DELETED, user_id=user_id)
        if await self._accounts.delete(user_id, self._clock(), audit=deleted):
            await self._revocations.publish(Revocation("user", user_id))


def _encoded(code: str) -> bytes:
    return code.encode("utf-8", errors="surrogatepass")
