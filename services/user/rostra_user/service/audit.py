"""The audit log: what happened to accounts, told with who did it and from where."""

from collections.abc import Sequence
from datetime import timedelta

from rostra.common.v1.caller_pb2 import Caller
from rostra_kit.context import current_caller, current_request
from rostra_kit.ids import new_id
from rostra_user.clock import Clock
from rostra_user.domain import AuditEvent, AuditFilter, AuditKind, AuditOutcome, Page
from rostra_user.secret import sha256
from rostra_user.store import AuditStore

_DETAIL_LENGTH = 1024
_ADDRESS_LENGTH = 64
_NAME_LENGTH = 128


class AuditLog:
    """Makes audit events of the request under way, adds them, and lets them end with time."""

    def __init__(self, store: AuditStore, *, keep_days: int, clock: Clock) -> None:
        self._store = store
        self._keep = timedelta(days=keep_days)
        self._clock = clock

    def event(
        self,
        kind: AuditKind,
        *,
        user_id: str = "",
        actor_id: str | None = None,
        outcome: AuditOutcome = AuditOutcome.OK,
        target: str = "",
        detail: str = "",
        email_key: str | None = None,
    ) -> AuditEvent:
        """Return an event, not stored yet, of the request under way.

        Args:
            kind: What happened.
            user_id: The account that it happened to.
            actor_id: Who did it; the caller when absent.
            outcome: How it ended.
            target: What was made, ended or changed.
            detail: From what, into what.
            email_key: The address that was tried, of which the digest is kept.
        """
        request = current_request()
        caller = current_caller() if request.caller else Caller()
        return AuditEvent(
            id=new_id("audit"),
            create_time=self._clock(),
            event=kind,
            outcome=outcome,
            user_id=user_id,
            actor_id=caller.user_id if actor_id is None else actor_id,
            api_key_id=caller.api_key_id,
            session_id=caller.session_id,
            target=target[:_NAME_LENGTH],
            detail=detail[:_DETAIL_LENGTH],
            email_digest=None if email_key is None else sha256(email_key),
            address=request.address[:_ADDRESS_LENGTH],
            request_id=request.request_id[:_NAME_LENGTH],
        )

    async def append(self, event: AuditEvent) -> None:
        """Add an event that comes with no change of its own."""
        await self._store.append(event)

    async def list(self, which: AuditFilter, page: Page) -> tuple[Sequence[AuditEvent], bool]:
        """Return a page of events and whether another follows, or raise `UnknownCursorError`."""
        return await self._store.list(which, page)

    async def expire(self) -> None:
        """Remove the events that are older than they are kept."""
        await self._store.expire(self._clock() - self._keep)
