import asyncio
import threading
from types import SimpleNamespace

import pytest

from rostra_kit.errors import UnavailableError
from rostra_user.errors import UnacceptableError
from rostra_user.passwords import PasswordHasher, accept_password
from rostra_user.settings import PasswordSettings


@pytest.mark.parametrize("password", ["12345678", "x" * 256, "\U0001f680" * 8, "correct horse battery staple"])
def test_long_enough_password_is_accepted(password: str) -> None:
    accept_password(password, email_key="alice@example.com", param="password")


@pytest.mark.parametrize(
    "password", ["", "1234567", "x" * 257, "12345678\0", "\ud8001234567", "alice@example.com", "ALICE@Example.com"]
)
def test_unfit_password_is_refused_by_name(password: str) -> None:
    with pytest.raises(UnacceptableError) as refused:
        accept_password(password, email_key="alice@example.com", param="new_password")
    assert refused.value.param == "new_password"


async def test_only_the_right_password_matches_its_hash(cheap_passwords: PasswordSettings) -> None:
    with PasswordHasher(cheap_passwords) as hasher:
        stored = await hasher.hash("caf\u00e9 au lait")
        assert stored.startswith("$argon2id$")
        assert await hasher.matches("cafe\u0301 au lait", stored)
        assert not await hasher.matches("cafe au lait", stored)
        assert not await hasher.matches("x" * 100_000, stored)
        assert not await hasher.matches("caf\u00e9 au lait", "not a hash")


async def test_password_longer_than_allowed_does_not_match_its_beginning(cheap_passwords: PasswordSettings) -> None:
    with PasswordHasher(cheap_passwords) as hasher:
        stored = await hasher.hash("x" * 256)
        assert await hasher.matches("x" * 256, stored)
        assert not await hasher.matches("x" * 257, stored)


async def test_missing_hash_never_matches_and_costs_the_same_work(cheap_passwords: PasswordSettings) -> None:
    with PasswordHasher(cheap_passwords) as hasher:
        verified: list[str] = []
        verify = hasher._verify
        hasher._verify = lambda stored, password: verified.append(stored) or verify(stored, password)
        assert not await hasher.matches("nobody's password", None)
        assert len(verified) == 1
        assert not hasher.is_outdated(verified[0])


async def test_hash_of_another_cost_is_outdated(cheap_passwords: PasswordSettings) -> None:
    with PasswordHasher(cheap_passwords) as old, PasswordHasher(PasswordSettings(memory_kib=16, iterations=1)) as new:
        stored = await old.hash("correct horse")
        assert not old.is_outdated(stored)
        assert new.is_outdated(stored)
        assert await new.matches("correct horse", stored)


async def test_hashes_run_in_as_many_threads_as_allowed_and_the_rest_is_refused() -> None:
    settings = PasswordSettings(memory_kib=8, iterations=1, concurrency=2, waiting_limit=3)
    running, most, release = 0, 0, threading.Event()
    lock = threading.Lock()

    def slow(_password: bytes) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(10)
        with lock:
            running -= 1
        return "hash"

    with PasswordHasher(settings) as hasher:
        hasher._argon2 = SimpleNamespace(hash=slow)
        accepted = [asyncio.create_task(hasher.hash("correct horse")) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError) as refused:
            await hasher.hash("one too many")
        assert refused.value.retry_after_seconds == 1
        accepted[4].cancel()  # one who waits leaves, and another may come
        await asyncio.gather(accepted[4], return_exceptions=True)
        late = asyncio.create_task(hasher.hash("late"))
        await asyncio.sleep(0)
        release.set()
        assert await asyncio.gather(*accepted[:4], late) == ["hash"] * 5
        assert most == 2
