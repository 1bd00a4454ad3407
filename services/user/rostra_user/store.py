"""What the user service needs of its database, resource by resource.

Every method is one transaction: it happens as a whole or not at all, and once it has returned it survives a crash and
is seen by every replica. Besides what its docstring names, every method may raise `UnavailableError` when the database
cannot be reached. No error of a driver leaves a store.

Methods that change an account take the event `audit` that tells of it, and add it to the audit log in the same
transaction; when nothing changed, they add nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from rostra_user.domain import (
    AccessChange,
    Account,
    AccountChange,
    ApiKey,
    AuditEvent,
    AuditFilter,
    Erasure,
    Identity,
    NewAccount,
    Page,
    Plan,
    Session,
    UsageBucket,
    UsageEvent,
    User,
)


class AccountStore(Protocol):
    """Accounts, with the plan that each is on."""

    async def create(self, account: NewAccount, first_session: Session, *, audit: AuditEvent | None = None) -> User:
        """Create the account and sign it in.

        Raises:
            EmailTakenError: Another account has the address, in whatever spelling.
        """

    async def get(self, user_id: str) -> Account:
        """Return the account, or raise `UserNotFoundError`."""

    async def find_by_email(self, email_key: str) -> Account | None:
        """Return the account with this normalised address, `None` when there is none."""

    async def update(
        self,
        user_id: str,
        change: AccountChange,
        *,
        password_hash: str,
        keep_session_id: str,
        audit: Sequence[AuditEvent] = (),
    ) -> Sequence[str]:
        """Change the account if its password hash is still `password_hash`, which the caller was checked against.

        A new password ends every session but `keep_session_id`.

        Returns:
            The ids of the sessions that ended.

        Raises:
            UserNotFoundError: The account is gone.
            ConflictError: The password was changed meanwhile.
            EmailTakenError: Another account has the new address.
        """

    async def rename(self, user_id: str, name: str) -> None:
        """Change the name alone, or raise `UserNotFoundError`."""

    async def replace_hash(self, user_id: str, *, old_hash: str, new_hash: str) -> bool:
        """Put a hash of the same password in place of `old_hash`; tell whether that was still the one."""

    async def delete(self, user_id: str, now: datetime, *, audit: AuditEvent | None = None) -> bool:
        """Delete the account with its sessions and API keys, and note that the rest is to be erased.

        The address is free at once. Usage events stay until `UsageStore.erase`.

        Returns:
            Whether there was such an account.
        """


class SessionStore(Protocol):
    """Sessions: who is signed in, and which refresh token works."""

    async def create(self, session: Session, *, password_hash: str, audit: AuditEvent | None = None) -> None:
        """Sign the user in if their password hash is still `password_hash`; drop their expired sessions.

        Raises:
            InvalidCredentialsError: The account is gone or disabled, or its password was changed meanwhile.
        """

    async def get(self, session_id: str) -> Session | None:
        """Return the session, expired or not, `None` when there is none."""

    async def rotate(self, session_id: str, *, old_digest: bytes, new_digest: bytes, expire_time: datetime) -> bool:
        """Make the refresh token of `new_digest` the one that works, in place of `old_digest`.

        Of any number of simultaneous calls with one `old_digest`, exactly one returns true.
        """

    async def delete(self, session_id: str, *, audit: AuditEvent | None = None) -> bool:
        """End the session; tell whether it existed."""

    async def identify(self, session_id: str, now: datetime) -> Identity | None:
        """Return whom the session stands for, `None` when it has ended or expired, or the account is disabled."""


class ApiKeyStore(Protocol):
    """API keys, found by the digest of their secret."""

    async def create(
        self, api_key: ApiKey, *, secret_digest: bytes, live_limit: int, audit: AuditEvent | None = None
    ) -> None:
        """Store the key, and drop the user's keys that expired long before it was created.

        Raises:
            TooManyApiKeysError: The user has `live_limit` keys that have not expired; the count is exact.
            UserNotFoundError: The account is gone.
        """

    async def list(self, user_id: str, page: Page) -> tuple[Sequence[ApiKey], bool]:
        """Return a page of the user's keys by the order of their ids, and whether another page follows.

        Raises:
            UnknownCursorError: `page.after` is not a key of the user's.
        """

    async def delete(self, user_id: str, api_key_id: str, *, audit: AuditEvent | None = None) -> None:
        """Revoke the key, or raise `ApiKeyNotFoundError`, also when another user owns it."""

    async def identify(self, secret_digest: bytes, now: datetime) -> Identity | None:
        """Return whom the key stands for, `None` when it is unknown, revoked or expired, or the account disabled."""


class UsageStore(Protocol):
    """The usage ledger: each event once, however often it is delivered."""

    async def record(self, events: Sequence[UsageEvent]) -> int:
        """Add the events to the ledger, except those it has already and those of users who are gone.

        Returns:
            How many were added.
        """

    async def sum_by_day(self, user_id: str | None, *, start: datetime, end: datetime) -> Sequence[UsageBucket]:
        """Sum the user's, or all, events with `start <= end_time < end` by UTC day and model, ordered by both.

        To be shown only: the newest events may be missing.
        """

    async def sum_cost(self, user_id: str, *, start: datetime, end: datetime, api_key_id: str = "") -> int:
        """Return the price, in micros, of the user's, or one key's, events with `start <= end_time < end`."""

    async def erase(self, user_id: str) -> None:
        """Remove all of the user's events. Repeating the call changes nothing."""


class UserDirectory(Protocol):
    """All accounts, as administrators see them."""

    async def get(self, user_id: str) -> User:
        """Return the account, or raise `UserNotFoundError`."""

    async def find(self, email_key: str) -> User | None:
        """Return the account with this normalised address, `None` when there is none."""

    async def list(self, page: Page, *, key_prefix: str = "") -> tuple[Sequence[User], bool]:
        """Return a page of accounts by the order of their ids, and whether another page follows.

        Args:
            page: Which one.
            key_prefix: How the normalised addresses begin.

        Raises:
            UnknownCursorError: `page.after` is not such an account.
        """

    async def change(
        self, user_id: str, change: AccessChange, *, describe: Callable[[User, User], AuditEvent]
    ) -> tuple[User, User]:
        """Change what the account may do; disabling it ends all its sessions.

        Args:
            user_id: Whose account.
            change: What is to change.
            describe: Makes the audit event of the account before and after; not asked when they are the same.

        Returns:
            The account before and after.

        Raises:
            UserNotFoundError: There is no such account.
            PlanNotFoundError: There is no such plan.
        """


class PlanStore(Protocol):
    """Plans, by name."""

    async def list(self, page: Page) -> tuple[Sequence[Plan], bool]:
        """Return a page of plans by the order of their names, or raise `UnknownCursorError`."""

    async def put(self, plan: Plan, *, describe: Callable[[Plan | None], AuditEvent]) -> bool:
        """Create the plan or replace its limits, and tell whether anything changed.

        Args:
            plan: What it is to be.
            describe: Makes the audit event of what it was before; not asked when it was the same.
        """

    async def delete(self, name: str, *, audit: AuditEvent) -> None:
        """Delete the plan.

        Raises:
            PlanNotFoundError: There is none.
            PlanInUseError: Somebody is on it.
        """


class AuditStore(Protocol):
    """The audit log. Events are added, lose the addresses in them when the account is erased, and end with time."""

    async def append(self, event: AuditEvent) -> None:
        """Add an event that comes with no change of its own."""

    async def list(self, which: AuditFilter, page: Page) -> tuple[Sequence[AuditEvent], bool]:
        """Return a page of events by the order of their ids, or raise `UnknownCursorError`."""

    async def pseudonymise(self, user_id: str) -> None:
        """Forget the addresses, of network and e-mail, in what happened to the user or was done by them."""

    async def expire(self, before: datetime) -> None:
        """Remove the events that are older than `before`."""


class ErasureStore(Protocol):
    """The notes of what is still to be erased of deleted users."""

    async def due(self, *, last_pass_before: datetime, limit: int) -> Sequence[Erasure]:
        """Return up to `limit` notes that are not erased yet or were marked before `last_pass_before`, oldest first."""

    async def note_erased(self, user_id: str, now: datetime) -> None:
        """Remember that everything was erased once; the last pass is still to come."""

    async def forget(self, user_id: str) -> None:
        """Drop the note: the last pass is done."""
