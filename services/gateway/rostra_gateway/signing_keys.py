"""The public keys of access tokens, as the user service publishes them."""

import asyncio
import time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from rostra.user.v1 import user_service_pb2 as pb
from rostra_kit.client import ServiceClient

if TYPE_CHECKING:
    from rostra.user.v1.user_service_pb2_grpc import UserServiceAsyncStub

_OLDEST_SECONDS = 60.0
_SHORTEST_PAUSE_SECONDS = 1.0


class SigningKeys:
    """Keeps the published keys: asked for again each minute, and when a token names a key that is not known yet."""

    def __init__(self, user: "ServiceClient[UserServiceAsyncStub]") -> None:
        self._user = user
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._published: dict[str, bytes] = {}
        self._asked = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def get(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key named `kid`, `None` when there is none.

        Raises:
            UnavailableError: The key is not known here, and the user service cannot be asked.
        """
        age = time.monotonic() - self._asked
        if age > _OLDEST_SECONDS or (kid not in self._keys and age > _SHORTEST_PAUSE_SECONDS):
            await self._refresh()
        return self._keys.get(kid)

    async def list_published(self) -> dict[str, bytes]:
        """Return all keys, 32 bytes each, by their names.

        Raises:
            UnavailableError: The user service cannot be asked.
        """
        if time.monotonic() - self._asked > _OLDEST_SECONDS:
            await self._refresh()
        return self._published

    async def _refresh(self) -> None:
        """Ask for the keys, once for all who wait; it goes on when one of them leaves."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._ask())
            self._refreshing.add_done_callback(self._end_refresh)
        await asyncio.shield(self._refreshing)

    def _end_refresh(self, task: "asyncio.Task[None]") -> None:
        self._refreshing = None
        if not task.cancelled():
            # Perhaps nobody waits any more; asyncio complains of errors that nobody has seen.
            task.exception()

    async def _ask(self) -> None:
        answer = await self._user.call(self._user.stub.ListSigningKeys, pb.ListSigningKeysRequest())
        self._published = {key.kid: key.public_key for key in answer.keys}
        self._keys = {key.kid: Ed25519PublicKey.from_public_bytes(key.public_key) for key in answer.keys}
        self._asked = time.monotonic()
