import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from alembic.script import ScriptDirectory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import create_engine, text

import rostra_user.migrations
from rostra.common.v1.caller_pb2 import Role
from rostra.user.v1 import user_service_pb2 as pb
from rostra.user.v1.user_service_pb2_grpc import UserServiceStub
from rostra_kit.ports import free_port
from rostra_kit.testing.redis_server import RedisServer
from rostra_user.testing.journey import EMAIL, PASSWORD

START_SECONDS = 30.0


@pytest.fixture
def variables(tmp_path: Path, redis_server: RedisServer) -> dict[str, str]:
    """Return the few variables that the service needs, and open registration."""
    return {
        "ROSTRA_USER_DATABASE__URL": f"sqlite+aiosqlite:///{tmp_path}/user.db",
        "ROSTRA_USER_SIGNING_KEYS_DIRECTORY": f"{tmp_path}/keys",
        "ROSTRA_USER_REDIS__URL": redis_server.url,
        "ROSTRA_USER_HISTORY__TARGET": "127.0.0.1:1",
        "ROSTRA_USER_LISTEN__PORT": str(free_port()),
        "ROSTRA_USER_REGISTRATION": "open",
    }


@contextmanager
def serving(variables: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], grpc.Channel]]:
    process = subprocess.Popen([sys.executable, "-m", "rostra_user"], env=os.environ | variables)
    with grpc.insecure_channel(f"127.0.0.1:{variables['ROSTRA_USER_LISTEN__PORT']}") as channel:
        try:
            health = health_pb2_grpc.HealthStub(channel)
            for answer in health.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=START_SECONDS):
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    break
            yield process, channel
        finally:
            process.kill()
            process.wait()


def test_what_was_acknowledged_survives_kill_9_and_sigterm_ends_in_order(variables: dict[str, str]) -> None:
    with serving(variables) as (process, channel):
        created = UserServiceStub(channel).CreateUser(pb.CreateUserRequest(email=EMAIL, password=PASSWORD))
        process.kill()
        process.wait()
    with serving(variables) as (process, channel):
        service = UserServiceStub(channel)
        signed_in = service.CreateSession(pb.CreateSessionRequest(email=EMAIL, password=PASSWORD))
        assert signed_in.user == created.user
        service.RefreshSession(pb.RefreshSessionRequest(refresh_token=created.tokens.refresh_token))
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_SECONDS) == 0


def test_migration_runs_on_its_own(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/user.db"
    environ = os.environ | {"ROSTRA_USER_DATABASE__URL": url}
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "rostra_user.migrate"], env=environ, check=True, capture_output=True)
    engine = create_engine(f"sqlite:///{tmp_path}/user.db")
    with engine.connect() as connection:
        newest = ScriptDirectory(rostra_user.migrations.__path__[0]).get_current_head()
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == newest
    engine.dispose()


def administer(variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rostra_user.admin", *words]
    environ = os.environ | variables
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=START_SECONDS, check=False)


def test_operator_makes_the_first_administrator(variables: dict[str, str]) -> None:
    with serving(variables) as (_, channel):
        service = UserServiceStub(channel)
        service.CreateUser(pb.CreateUserRequest(email=EMAIL, password=PASSWORD))
        assert administer(variables, "grant", EMAIL.upper()).stdout == f"{EMAIL}: admin, enabled\n"
        user = service.CreateSession(pb.CreateSessionRequest(email=EMAIL, password=PASSWORD)).user
        assert user.role == Role.ROLE_ADMIN
        refused = administer(variables, "grant", "nobody@example.com")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.endswith("This account does not exist any more.\n")
