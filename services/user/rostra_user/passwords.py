"""Passwords: which are accepted, and how they are kept (Argon2id)."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from rostra_kit.errors import UnavailableError
from rostra_user.email_address import comparable
from rostra_user.errors import UnacceptableError
from rostra_user.settings import PasswordSettings
from rostra_user.text import accept_text

ResultT = TypeVar("ResultT")

MIN_LENGTH = 8
MAX_LENGTH = 256


def accept_password(password: str, *, email_key: str, param: str) -> None:
    """Raise `UnacceptableError` naming `param` unless `password` may become that of the account with this address."""
    accept_text(password, param=param, max_length=MAX_LENGTH)
    if len(password) < MIN_LENGTH:
        raise UnacceptableError(f"A password has at least {MIN_LENGTH} characters.", param=param)
    if comparable(password) == email_key:
        raise UnacceptableError("The e-mail address cannot be the password.", param=param)


class PasswordHasher:
    """Hashes and checks passwords in a few threads of its own, so that neither the loop nor the memory suffers.

    The threads, not a semaphore, bound the memory: a hash goes on in its thread when its caller is cancelled.
    """

    def __init__(self, settings: PasswordSettings) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=settings.iterations, memory_cost=settings.memory_kib, parallelism=settings.parallelism
        )
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="argon2")
        self._room = settings.concurrency + settings.waiting_limit
        self._nobodys_hash = self._argon2.hash("nobody's password")

    def __enter__(self) -> Self:
        """Return the hasher."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Return a new hash of `password`."""
        return await self._in_thread(lambda: self._argon2.hash(_canonical(password)))

    async def matches(self, password: str, stored_hash: str | None) -> bool:
        """Tell whether `password` is the one hashed; without a hash the same work is done in vain.

        So the time that a log-in takes does not tell whether the account exists.
        """
        compared = self._nobodys_hash if stored_hash is None else stored_hash
        # No accepted password is longer, and hashing a longer one would be work that a stranger chooses.
        matches = await self._in_thread(lambda: self._verify(compared, _canonical(password[: MAX_LENGTH + 1])))
        return matches and stored_hash is not None

    def is_outdated(self, stored_hash: str) -> bool:
        """Tell whether `stored_hash` was made at another cost than that of the settings."""
        return self._argon2.check_needs_rehash(stored_hash)

    def _verify(self, stored_hash: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(stored_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        if self._room == 0:
            raise UnavailableError("Too many people are signing in right now.", retry_after_seconds=1)
        self._room -= 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._leave_room)
        return await future

    def _leave_room(self, _future: object) -> None:
        self._room += 1


def _canonical(password: str) -> bytes:
    """Return the bytes that are hashed: the same for one password typed on different systems."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", errors="surrogatepass")
