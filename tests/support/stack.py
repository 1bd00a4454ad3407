"""Fixtures that run the whole product as processes: one stack for a session's tests, and others for tests of their own.

The shared stack has two gateways and one of every other service, on what is embedded or on real servers
(`support.stack_servers`); its models come from a scripted provider, and from `echo` without its pauses. It lives in a
thread with an event loop of its own, so that each test may have another loop.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from rostra_stack.child import Child, ChildFailed
from rostra_stack.config import StackConfig
from rostra_stack.stack import Stack
from support.provider import ScriptedProvider
from support.provider_script import FAULT_MODELS, GOOD_MODELS
from support.stack_servers import CHOSEN, settings_on

ResultT = TypeVar("ResultT")

_OTHER_MODELS = ("unknown-fields", "many-fast", "no-usage", "huge", "status-400-context", "status-429-quota")
_LOG_TAIL_LINES = 15
_POLL_PAUSE_SECONDS = 0.02
_START_AND_STOP_SECONDS = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A registered user, signed in, with an API key."""

    user_id: str
    email: str
    password: str
    access_token: str
    refresh_token: str
    api_key: str
    api_key_id: str

    @property
    def session(self) -> dict[str, str]:
        """Return the header that signs a request with the access token."""
        return {"authorization": f"Bearer {self.access_token}"}

    @property
    def key(self) -> dict[str, str]:
        """Return the header that signs a request with the API key."""
        return {"authorization": f"Bearer {self.api_key}"}


class SharedStack:
    """A stack and its provider, running in a thread of their own.

    Attributes:
        provider: Plays the models; its journal and its programs may be used from any thread.
    """

    def __init__(self, data: Path) -> None:
        self.provider = ScriptedProvider(models=(*GOOD_MODELS, *FAULT_MODELS, *_OTHER_MODELS))
        self._exit = AsyncExitStack()
        # Servers end with the thread that started them: this one.
        self._servers = ExitStack()
        environment = self._servers.enter_context(settings_on(CHOSEN))
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="stack", daemon=True)
        self._thread.start()
        try:
            self._stack = self.run(self._start(data, environment))
        except BaseException:
            self.close()
            raise

    @property
    def gateway_urls(self) -> list[str]:
        """Return the address of each gateway, without `/v1`."""
        return self._stack.gateway_urls

    @property
    def data(self) -> Path:
        """Return the folder that holds databases, keys and logs."""
        return self._stack.data

    @property
    def children(self) -> dict[str, Child]:
        """Return the processes by name."""
        return self._stack.children

    def run(self, work: Coroutine[Any, Any, ResultT], *, timeout_seconds: float = _START_AND_STOP_SECONDS) -> ResultT:
        """Run `work` in the stack's event loop, where the provider's tallies can be awaited."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_seconds)

    def close(self) -> None:
        """End every process and the thread."""
        try:
            self.run(self._exit.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._servers.close()

    async def _start(self, data: Path, environment: Mapping[str, str]) -> Stack:
        await self._exit.enter_async_context(self.provider)
        stack = own_stack(data, provider=self.provider, environment=environment, gateways=2)
        return await self._exit.enter_async_context(stack)


class Journal:
    """What the provider was asked since a test began."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self._provider = provider
        self._skipped = len(provider.chats)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """Return the bodies of the chat completions, oldest first."""
        return [chat.body for chat in self._provider.chats[self._skipped :]]

    @property
    def last(self) -> dict[str, Any]:
        """Return the newest body."""
        return self.bodies[-1]


@asynccontextmanager
async def own_stack(
    data: Path,
    *,
    provider: ScriptedProvider | None = None,
    environment: Mapping[str, str] | None = None,
    gateways: int = 1,
    chats: int = 1,
    histories: int = 1,
    users: int = 1,
) -> AsyncIterator[Stack]:
    """Run a stack; without a provider it has the model `echo` alone.

    Args:
        data: Its folder; a second stack on the same folder finds what the first one stored.
        provider: Where its models come from; it must be running.
        environment: Settings beside or over those of every test's stack.
        gateways: Number of gateways, likewise `chats`, `histories` and `users`.

    Raises:
        AssertionError: A process did not start; the message has the end of each log, and ends with its name.
    """
    config = StackConfig(
        data=data,
        port=0,
        gateways=gateways,
        chats=chats,
        histories=histories,
        users=users,
        environment=stack_environment(provider) | dict(environment or {}),
    )
    async with started(Stack(config)) as stack:
        yield stack


def stack_environment(provider: ScriptedProvider | None) -> dict[str, str]:
    """Return the settings of every test's stack: patient with tests, and with the provider's models."""
    return {
        "ROSTRA_CHAT_ECHO__WORD_DELAY_SECONDS": "0",
        "ROSTRA_CHAT_DISCOVERY__MIN_REFRESH_SECONDS": "0",
        "ROSTRA_GATEWAY_ADDRESS_LIMITS__REQUESTS_PER_MINUTE": "1000000",
        "OPENAI_BASE_URL": provider.base_url if provider else "",
        "OPENAI_API_KEY": "sk-scripted" if provider else "",
    }


@asynccontextmanager
async def started(stack: Stack) -> AsyncIterator[Stack]:
    """Run the stack.

    Raises:
        AssertionError: As `own_stack` does.
    """
    try:
        await stack.__aenter__()
    except ChildFailed as error:
        raise AssertionError(f"{_end_of_logs(stack)}\n{error}") from error
    try:
        yield stack
    finally:
        await stack.__aexit__(None, None, None)


def _patiently(request: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask again for a few seconds where limits cannot be checked: on a busy machine even Redis is late at times."""
    for _ in range(5):
        answer = request()
        if answer.status_code != 503:
            break
        time.sleep(float(answer.headers["retry-after"]))
    return answer


def register(base_url: str, **fields: str) -> Account:
    """Register somebody new by HTTP, and create an API key.

    Args:
        base_url: A gateway's address, without `/v1`.
        fields: More fields of the registration, for example `name`.
    """
    email, password = f"{uuid4().hex}@example.com", f"password-{uuid4().hex}"
    with httpx.Client(base_url=base_url, timeout=30) as http:
        registered = _patiently(
            lambda: http.post("/v1/auth/register", json={"email": email, "password": password, **fields})
        )
        assert registered.status_code == 201, registered.text
        session = registered.json()
        bearer = {"authorization": f"Bearer {session['access_token']}"}
        created = http.post("/v1/api_keys", json={"name": "test"}, headers=bearer)
        assert created.is_success, created.text
    return Account(
        user_id=session["user"]["id"],
        email=email,
        password=password,
        access_token=session["access_token"],
        refresh_token=session["refresh_token"],
        api_key=created.json()["value"],
        api_key_id=created.json()["id"],
    )


def administrator(stack: SharedStack | Stack) -> Account:
    """Register somebody new, make them an administrator as an operator would, and sign them in."""
    account = register(stack.gateway_urls[0])
    [user, *_] = [child for name, child in stack.children.items() if name.startswith("user")]
    command = [sys.executable, "-m", "rostra_user.admin", "grant", account.email]
    subprocess.run(command, env=user.plan.environment, check=True, capture_output=True, timeout=30)
    # Gateways remember whom the first session stood for.
    login = {"email": account.email, "password": account.password}
    session = httpx.post(f"{stack.gateway_urls[0]}/v1/auth/login", json=login, timeout=30).json()
    return replace(account, access_token=session["access_token"], refresh_token=session["refresh_token"])


def create_key(base_url: str, account: Account, **limits: float) -> str:
    """Create another API key of `account` with limits of its own, for example `requests_per_minute`."""
    created = httpx.post(f"{base_url}/v1/api_keys", json={"name": "limited", "limits": limits}, headers=account.session)
    assert created.is_success, created.text
    value: str = created.json()["value"]
    return value


def sdk(base_url: str, api_key: str) -> AsyncOpenAI:
    """Return the official SDK as a client of a gateway; it repeats nothing by itself."""
    return AsyncOpenAI(base_url=f"{base_url}/v1", api_key=api_key, max_retries=0, timeout=30)


async def eventually(check: Callable[[], Awaitable[bool]], *, within_seconds: float) -> None:
    """Ask again and again until `check` says yes, and raise TimeoutError when it does not in time."""
    async with asyncio.timeout(within_seconds):
        while not await check():  # noqa: ASYNC110 - what is awaited happens in other processes
            await asyncio.sleep(_POLL_PAUSE_SECONDS)


def said(items: Iterable[Any]) -> list[tuple[str, str]]:
    """Return role and text of each message among a response's or a conversation's items, as the SDK parsed them."""
    return [(item.role, part.text) for item in items if item.type == "message" for part in item.content]


_SHARED: pytest.StashKey[SharedStack] = pytest.StashKey()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SharedStack:
    """Return the session's stack: the same one for every module that imports this fixture."""
    stash = request.config.stash
    if _SHARED not in stash:
        stash[_SHARED] = SharedStack(tmp_path_factory.mktemp("stack"))
        request.config.add_cleanup(stash[_SHARED].close)
    return stash[_SHARED]


@pytest.fixture
def account(stack: SharedStack) -> Account:
    """Return somebody new."""
    return register(stack.gateway_urls[0])


@pytest.fixture
def journal(stack: SharedStack) -> Journal:
    """Return what the provider is asked in this test."""
    return Journal(stack.provider)


@pytest.fixture
async def client(stack: SharedStack, account: Account) -> AsyncIterator[AsyncOpenAI]:
    """Yield the account's client of the first gateway."""
    async with sdk(stack.gateway_urls[0], account.api_key) as client:
        yield client


@pytest.fixture
async def other_client(stack: SharedStack, account: Account) -> AsyncIterator[AsyncOpenAI]:
    """Yield the same account's client of the second gateway."""
    async with sdk(stack.gateway_urls[1], account.api_key) as client:
        yield client


@pytest.fixture
async def http(stack: SharedStack) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the first gateway that is nobody yet."""
    async with httpx.AsyncClient(base_url=stack.gateway_urls[0], timeout=30) as http:
        yield http


@pytest.fixture
async def other_http(stack: SharedStack) -> AsyncIterator[httpx.AsyncClient]:
    """Yield the same of the second gateway."""
    async with httpx.AsyncClient(base_url=stack.gateway_urls[1], timeout=30) as http:
        yield http


@pytest.fixture
def sync_client(stack: SharedStack, account: Account) -> Iterator[OpenAI]:
    """Yield the account's client that needs no event loop."""
    url = f"{stack.gateway_urls[0]}/v1"
    with OpenAI(base_url=url, api_key=account.api_key, max_retries=0, timeout=30) as client:
        yield client


def _end_of_logs(stack: Stack) -> str:
    """Return the last lines of each log, for a process may fail because another one did."""
    ends = []
    for name, child in stack.children.items():
        lines = child.log.read_text(errors="replace").splitlines() if child.log.exists() else []
        ends.append("\n".join([f"--- {name}", *lines[-_LOG_TAIL_LINES:]]))
    return "\n".join(ends)
