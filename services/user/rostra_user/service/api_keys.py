"""API keys: made, listed, revoked, and recognised."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from rostra_kit.errors import InvalidArgumentError
from rostra_kit.ids import new_id
from rostra_kit.revocation import Revocation
from rostra_kit.tasks import uninterrupted
from rostra_user.clock import Clock
from rostra_user.domain import ApiKey, AuditKind, Identity, Limits, Page
from rostra_user.errors import InvalidApiKeyError
from rostra_user.revocations import Revocations
from rostra_user.secret import new_api_key, redact, sha256
from rostra_user.service.audit import AuditLog
from rostra_user.store import ApiKeyStore
from rostra_user.text import accept_text

NAME_LENGTH = 200

_DIGEST_LENGTH = 32


class ApiKeyService:
    """Keeps API keys; their secrets it forgets at once."""

    def __init__(
        self, *, api_keys: ApiKeyStore, audit: AuditLog, revocations: Revocations, live_limit: int, clock: Clock
    ) -> None:
        self._api_keys = api_keys
        self._audit = audit
        self._revocations = revocations
        self._live_limit = live_limit
        self._clock = clock

    async def create(
        self, user_id: str, *, name: str, expire_time: datetime | None, limits: Limits
    ) -> tuple[ApiKey, str]:
        """Create a key and return it with its whole secret.

        Raises:
            UnacceptableError: The name is not acceptable.
            InvalidArgumentError: The end is not in the future, or a limit is not positive.
            TooManyApiKeysError: The user has as many live keys as are allowed.
            UserNotFoundError: The account is gone.
        """
        now = self._clock()
        accept_text(name, param="name", max_length=NAME_LENGTH)
        _check_limits(limits)
        if expire_time is not None and expire_time <= now:
            raise InvalidArgumentError("The end of an API key must be in the future.", param="expire_time")
        secret = new_api_key()
        api_key = ApiKey(
            id=new_id("key"),
            user_id=user_id,
            name=name,
            redacted_secret=redact(secret),
            create_time=now,
            expire_time=expire_time,
            limits=limits,
        )
        created = self._audit.event(AuditKind.API_KEY_CREATED, user_id=user_id, target=api_key.id)
        await self._api_keys.create(api_key, secret_digest=sha256(secret), live_limit=self._live_limit, audit=created)
        return api_key, secret

    async def list(self, user_id: str, page: Page) -> tuple[Sequence[ApiKey], bool]:
        """Return a page of the user's keys and whether another follows, or raise `UnknownCursorError`."""
        return await self._api_keys.list(user_id, page)

    async def revoke(self, user_id: str, api_key_id: str) -> None:
        """End the key at once, or raise `ApiKeyNotFoundError`."""
        await uninterrupted(self._revoke(user_id, api_key_id))

    async def identify(self, secret_digest: bytes) -> Identity:
        """Return whom the key with this SHA-256 digest stands for, or raise `InvalidApiKeyError`."""
        identity = None
        if len(secret_digest) == _DIGEST_LENGTH:
            identity = await self._api_keys.identify(secret_digest, self._clock())
        if identity is None:
            raise InvalidApiKeyError
        return identity

    async def _revoke(self, user_id: str, api_key_id: str) -> None:
        revoked = self._audit.event(AuditKind.API_KEY_REVOKED, user_id=user_id, target=api_key_id)
        await self._api_keys.delete(user_id, api_key_id, audit=revoked)
        await self._revocations.publish(Revocation("key", api_key_id))


def _check_limits(limits: Limits) -> None:
    for field in fields(limits):
        limit = getattr(limits, field.name)
        if limit is not None and limit < 1:
            raise InvalidArgumentError("A limit is at least 1.", param=f"limits.{field.name}")
