"""What the user service needs of its database, resource by resource.

Every method is one transaction: it happens as a whole or not at all, and once it has returned it survives a crash and
is seen by every replica. Besides what its docstring names, every method may raise `UnavailableError` when the database
cannot be reached. No error of a driver leaves a store.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from rostra_user.domain import (
    Account,
    AccountChange,
    ApiKey,
    Erasure,
    Identity,
    NewAccount,
    Page,
    Session,
    UsageBucket,
    UsageEvent,
    User,
)


class AccountStore(Protocol):
    """Accounts, with the plan that each is on."""

    async def create(self, account: NewAccount, first_session: Session) -> User:
        """Create the account and sign it in.

        Raises:
            EmailTakenError: Another account has the address, in whatever spelling.
        """

    async def get(self, user_id: str) -> Account:
        """Return the account, or raise `UserNotFoundError`."""

    async def find_by_email(self, email_key: str) -> Account | None:
        """Return the account with this normalised address, `None` when there is none."""

    async def update(
        self, user_id: str, change: AccountChange, *, password_hash: str, keep_session_id: str
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

    async def delete(self, user_id: str, now: datetime) -> bool:
        """Delete the account with its sessions and API keys, and note that the rest is to be erased.

        The address is free at once. Usage events stay until `UsageStore.erase`.

        Returns:
            Whether there was such an account.
        """


class SessionStore(Protocol):
    """Sessions: who is signed in, and which refresh token works."""

    async def create(self, session: Session, *, password_hash: str) -> None:
        """Sign the user in if their password hash is still `password_hash`; drop their expired sessions.

        Raises:
            InvalidCredentialsError: The account is gone, or its password was changed meanwhile.
        """

    async def get(self, session_id: str) -> Session | None:
        """Return the session, expired or not, `None` when there is none."""

    async def rotate(self, session_id: str, *, old_digest: bytes, new_digest: bytes, expire_time: datetime) -> bool:
        """Make the refresh token of `new_digest` the one that works, in place of `old_digest`.

        Of any number of simultaneous calls with one `old_digest`, exactly one returns true.
        """

    async def delete(self, session_id: str) -> bool:
        """End the session; tell whether it existed."""

    async def identify(self, session_id: str, now: datetime) -> Identity | None:
        """Return whom the session stands for, `None` when it has ended or expired."""


class ApiKeyStore(Protocol):
    """API keys, found by the digest of their secret."""

    async def create(self, api_key: ApiKey, *, secret_digest: bytes, live_limit: int) -> None:
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

    async def delete(self, user_id: str, api_key_id: str) -> None:
        """Revoke the key, or raise `ApiKeyNotFoundError`, also when another user owns it."""

    async def identify(self, secret_digest: bytes, now: datetime) -> Identity | None:
        """Return whom the key stands for, `None` when it is unknown, revoked or expired."""


class UsageStore(Protocol):
    """The usage ledger: each event once, however often it is delivered."""

    async def record(self, events: Sequence[UsageEvent]) -> int:
        """Add the events to the ledger, except those it has already and those of users who are gone.

        Returns:
            How many were added.
        """

    async def sum_by_day(self, user_id: str, *, start: datetime, end: datetime) -> Sequence[UsageBucket]:
        """Sum the user's events with `start <= end_time < end` by UTC day and model, ordered by both.

        To be shown only: the newest events may be missing.
        """

    async def sum_cost(self, user_id: str, *, start: datetime, end: datetime) -> int:
        """Return the price, in micros, of the user's events with `start <= end_time < end`."""

    async def erase(self, user_id: str) -> None:
        """Remove all of the user's events. Repeating the call changes nothing."""


class ErasureStore(Protocol):
    """The notes of what is still to be erased of deleted users."""

    async def due(self, *, last_pass_before: datetime, limit: int) -> Sequence[Erasure]:
        """Return up to `limit` notes that are not erased yet or were marked before `last_pass_before`, oldest first."""

    async def note_erased(self, user_id: str, now: datetime) -> None:
        """Remember that everything was erased once; the last pass is still to come."""

    async def forget(self, user_id: str) -> None:
        """Drop the note: the last pass is done."""
