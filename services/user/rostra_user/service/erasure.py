"""Erasing what deleted users left behind, until nothing is left."""

import logging
from datetime import timedelta

from rostra_kit.errors import AppError
from rostra_user.clock import Clock
from rostra_user.domain import Erasure
from rostra_user.history import UserDataEraser
from rostra_user.metrics import UserMetrics
from rostra_user.settings import ErasureSettings
from rostra_user.store import AuditStore, ErasureStore, UsageStore

logger = logging.getLogger(__name__)

_BATCH = 100


class ErasureService:
    """Erases deleted users' data: at once if it can, later if it must, and once more when all calls have ended."""

    def __init__(
        self,
        *,
        erasures: ErasureStore,
        usage: UsageStore,
        audit: AuditStore,
        elsewhere: UserDataEraser,
        settings: ErasureSettings,
        metrics: UserMetrics,
        clock: Clock,
    ) -> None:
        self._erasures = erasures
        self._usage = usage
        self._audit = audit
        self._elsewhere = elsewhere
        self._last_pass_after = timedelta(seconds=settings.last_pass_after_seconds)
        self._metrics = metrics
        self._clock = clock

    async def erase(self, user_id: str) -> None:
        """Erase all that the deleted user stored anywhere. Repeating the call changes nothing.

        Raises:
            AppError: Something could not be erased; `erase_due` will try again.
        """
        await self._elsewhere.erase(user_id)
        await self._usage.erase(user_id)
        await self._audit.pseudonymise(user_id)
        await self._erasures.note_erased(user_id, self._clock())

    async def erase_due(self) -> None:
        """Try what is still to be erased, and take the last pass over what is old enough.

        A response that was under way when its user was deleted may have been stored after the first pass.
        """
        for erasure in await self._erasures.due(last_pass_before=self._clock() - self._last_pass_after, limit=_BATCH):
            await self._try(erasure)

    async def _try(self, erasure: Erasure) -> None:
        is_last_pass = erasure.mark_time <= self._clock() - self._last_pass_after
        try:
            await self.erase(erasure.user_id)
            if is_last_pass:
                await self._erasures.forget(erasure.user_id)
        except AppError as error:
            self._metrics.erasures_failed.inc()
            logger.warning(
                "a deleted user's data is not erased yet: %s", error.message, extra={"user_id": erasure.user_id}
            )
