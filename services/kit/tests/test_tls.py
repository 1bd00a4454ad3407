"""Mutual TLS between services: who is let in, and that certificates are replaced while calls go on."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from prometheus_client import CollectorRegistry

from rostra.chat.v1 import chat_service_pb2 as pb
from rostra.chat.v1.chat_service_pb2_grpc import ChatServiceServicer, ChatServiceStub, add_ChatServiceServicer_to_server
from rostra_kit import tls
from rostra_kit.client import MAX_MESSAGE_BYTES, ServiceClient
from rostra_kit.errors import InvalidArgumentError, UnavailableError
from rostra_kit.server import add_port, new_server
from rostra_kit.settings import ClientTls, ListenSettings, ServerTls, ServiceAddress
from support.service_authority import SERVER_NAME, Authority

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["ChatService"]
Client = ServiceClient[ChatServiceStub]


class Servicer(ChatServiceServicer):
    async def GetModel(self, request, context):
        await asyncio.sleep(0.002)
        return pb.GetModelResponse(model={"id": request.id[:10]})


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@asynccontextmanager
async def serving(authority: Authority, *, days: float = 1) -> AsyncIterator[int]:
    certificate, key = authority.issue("server", days=days)
    server = new_server(CollectorRegistry())
    add_ChatServiceServicer_to_server(Servicer(), server)
    settings = ServerTls(cert_file=certificate, key_file=key, client_ca_file=authority.ca_file)
    port = add_port(server, ListenSettings(tls=settings))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def client_of(port: int, trusted: Authority, signed_by: Authority, **changes: float) -> Client:
    certificate, key = signed_by.issue("client", **changes)
    shown = ClientTls(ca_file=trusted.ca_file, cert_file=certificate, key_file=key, server_name=SERVER_NAME)
    return ServiceClient(ChatServiceStub, DESCRIPTOR, ServiceAddress(target=f"127.0.0.1:{port}", tls=shown))


async def ask(client: Client, name: str = "echo") -> str:
    answer = await client.call(client.stub.GetModel, pb.GetModelRequest(id=name))
    return answer.model.id


async def test_certificates_of_one_authority_let_calls_through(authority: Authority) -> None:
    async with serving(authority) as port, client_of(port, authority, authority) as client:
        assert await ask(client) == "echo"


@pytest.mark.parametrize(
    ("who", "days"),
    [("stranger's client", 1), ("stranger's server", 1), ("expired client", -1), ("expired server", -1)],
)
async def test_wrong_certificate_is_unavailable_and_logged(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture, who: str, days: float
) -> None:
    stranger = Authority(tmp_path / "stranger")
    async with serving(authority, days=days if who == "expired server" else 1) as port:
        signed_by = stranger if who == "stranger's client" else authority
        trusted = stranger if who == "stranger's server" else authority
        async with client_of(port, trusted, signed_by, days=days if who == "expired client" else 1) as client:
            for _ in range(2):
                with pytest.raises(UnavailableError):
                    await ask(client)
    told = [record for record in caplog.records if record.getMessage() == "a service cannot be reached by TLS"]
    assert [(record.levelno, record.target) for record in told] == [(logging.WARNING, f"127.0.0.1:{port}")]
    assert told[0].reason


@pytest.mark.parametrize("shows", ["plaintext", "no certificate"])
async def test_caller_without_a_certificate_is_refused(authority: Authority, shows: str) -> None:
    options = [("grpc.ssl_target_name_override", SERVER_NAME)]
    async with serving(authority) as port:
        target = f"127.0.0.1:{port}"
        credentials = grpc.ssl_channel_credentials(authority.ca_file.read_bytes())
        async with (
            grpc.aio.insecure_channel(target)
            if shows == "plaintext"
            else grpc.aio.secure_channel(target, credentials, options)
        ) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ChatServiceStub(channel).GetModel(pb.GetModelRequest(id="echo"), timeout=5)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_certificates_are_replaced_under_load_without_a_failed_call(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls, "_LOOK_SECONDS", 0.05)
    answered = 0
    ended = asyncio.Event()

    async def go_on(client: Client) -> None:
        nonlocal answered
        while not ended.is_set():
            assert await ask(client) == "echo"
            answered += 1

    async with serving(authority) as port, client_of(port, authority, authority) as client:
        with caplog.at_level(logging.INFO):
            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    group.create_task(go_on(client))
                for _ in range(5):
                    authority.issue("server")
                    authority.issue("client")
                    await asyncio.sleep(0.3)
                ended.set()
        # What both show by now is what was issued last: the first pair has not been anywhere for long.
        renewals = [record for record in caplog.records if record.getMessage() == "certificates renewed"]
        assert 5 <= len(renewals) <= 15
        assert answered > 100


async def test_certificate_that_has_expired_is_replaced_without_a_restart(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_LOOK_SECONDS", 0.0)
    async with serving(authority, days=-1) as port, client_of(port, authority, authority, days=-1) as client:
        with pytest.raises(UnavailableError):
            await ask(client)
        authority.issue("server")
        authority.issue("client")
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await ask(client) == "echo"
                    break
                except UnavailableError:
                    await asyncio.sleep(0.1)


async def test_message_that_is_too_large_is_refused(authority: Authority) -> None:
    async with serving(authority) as port, client_of(port, authority, authority) as client:
        with pytest.raises(InvalidArgumentError):
            await ask(client, "x" * (MAX_MESSAGE_BYTES + 1))
        assert await ask(client) == "echo"


async def test_reflection_is_off(authority: Authority) -> None:
    async with serving(authority) as port, client_of(port, authority, authority) as client:
        for version in ("v1", "v1alpha"):
            call = client._channel.current.stream_stream(
                f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
            )
            # Nothing is sent: a message that meets the refusal would be gRPC's INTERNAL.
            assert await call().code() is grpc.StatusCode.UNIMPLEMENTED


def test_change_that_could_not_be_read_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_LOOK_SECONDS", 0.0)
    file = tmp_path / "certificate"
    file.write_bytes(b"old")
    files = tls.WatchedFiles(file)
    file.rename(tmp_path / "old")
    file.mkdir()
    assert files.have_changed(), "to something that cannot be read"
    with pytest.raises(IsADirectoryError):
        files.read()
    assert files.have_changed(), "it is there, and was not read"
    with pytest.raises(IsADirectoryError):
        files.read()
    file.rmdir()
    assert not files.have_changed(), "there is nothing to read"
    file.write_bytes(b"new")
    assert files.have_changed()
    assert files.read() == [b"new"]
    assert not files.have_changed()
