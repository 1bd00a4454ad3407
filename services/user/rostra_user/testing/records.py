"""Accounts, sessions, keys and events for tests of the stores."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rostra_kit.ids import new_id
from rostra_user.domain import ApiKey, EmailAddress, Limits, NewAccount, Session, UsageEvent, UsageOutcome, User
from rostra_user.secret import new_api_key, redact
from rostra_user.sql.accounts import SqlAccountStore
from rostra_user.sql.database import Database

HASH = "h1"
NOW = datetime(2026, 11, 20, 12, 30, 15, 123456, tzinfo=UTC)


class SettableClock:
    """A clock that moves when a test says so."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time it shows."""
        return self.now

    def advance(self, **span: float) -> None:
        """Let time pass: `advance(seconds=1)`."""
        self.now += timedelta(**span)


def an_email(text: str | None = None) -> EmailAddress:
    """Return an address; a new one unless `text` spells it."""
    text = text or f"{secrets.token_hex(8)}@example.com"
    return EmailAddress(text=text, key=text)


def an_account(**changes: Any) -> NewAccount:
    """Return a new account that is stored nowhere."""
    account = NewAccount(user_id=new_id("user"), email=an_email(), name="Alice", password_hash=HASH, create_time=NOW)
    return replace(account, **changes)


def a_session(user_id: str, **changes: Any) -> Session:
    """Return a new session of the user that is stored nowhere."""
    session = Session(
        id=new_id("sess"),
        user_id=user_id,
        family_digest=secrets.token_bytes(32),
        token_digest=secrets.token_bytes(32),
        create_time=NOW,
        expire_time=NOW + timedelta(days=30),
    )
    return replace(session, **changes)


def an_api_key(user_id: str, **changes: Any) -> ApiKey:
    """Return a new API key of the user that is stored nowhere."""
    api_key = ApiKey(
        id=new_id("key"),
        user_id=user_id,
        name="laptop",
        redacted_secret=redact(new_api_key()),
        create_time=NOW,
        expire_time=None,
        limits=Limits(),
    )
    return replace(api_key, **changes)


def an_event(user_id: str, **changes: Any) -> UsageEvent:
    """Return a new usage event of the user that is stored nowhere."""
    event = UsageEvent(
        id=new_id("usage"),
        user_id=user_id,
        api_key_id="",
        model="echo",
        provider="echo",
        input_tokens=10,
        cached_input_tokens=4,
        output_tokens=5,
        reasoning_tokens=2,
        cost_micros=30,
        estimated=False,
        outcome=UsageOutcome.FINISHED,
        end_time=NOW,
    )
    return replace(event, **changes)


async def a_stored_user(database: Database, **changes: Any) -> User:
    """Return a new user, registered with the password hash `h1`."""
    account = an_account(**changes)
    return await SqlAccountStore(database).create(account, a_session(account.user_id))
