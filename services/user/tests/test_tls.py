"""Connections under TLS, with servers whose certificates are made here."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import URL, make_url, text

from rostra_kit.errors import UnavailableError
from rostra_user.settings import DatabaseSettings
from rostra_user.sql.database import Database
from rostra_user.sql.engine import open_engine
from support.certificates import CertificateAuthority
from support.servers import server_url
from support.sql_server import mariadb_server, mysql_server

pytestmark = pytest.mark.integration

Start = Callable[..., AbstractContextManager[str]]
STARTS: dict[str, Start] = {"mysql": mysql_server, "mariadb": mariadb_server}


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A server with a certificate for 127.0.0.1, and the authority that it and its clients come from."""

    url: URL
    authority: CertificateAuthority

    def settings(self, url: URL | None = None, **options: Path) -> DatabaseSettings:
        """Return settings by which a client trusts the authority, unless `options` say otherwise."""
        secret = SecretStr((url or self.url).render_as_string(hide_password=False))
        return DatabaseSettings(url=secret, **{"tls_ca_file": self.authority.ca_file} | options)


@pytest.fixture(scope="module", params=STARTS)
def tls_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    authority = CertificateAuthority(tmp_path_factory.mktemp("authority"))
    own = authority.issue("127.0.0.1")
    flags = [f"--ssl-ca={authority.ca_file}", f"--ssl-cert={own.certificate_file}", f"--ssl-key={own.key_file}"]
    with server_url(f"{request.param}_with_TLS", lambda: STARTS[request.param](*flags)) as url:
        yield TlsServer(make_url(url), authority)


async def cipher(connection) -> str:
    return (await connection.execute(text("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))).one()[1]


async def read(settings: DatabaseSettings, work: Callable[..., Awaitable[object]] = cipher) -> object:
    async with open_engine(settings) as engine:
        return await Database(engine).read(work)


async def refusal(settings: DatabaseSettings, caplog: pytest.LogCaptureFixture) -> str:
    """Return what the log says about a connection that must not come about."""
    with caplog.at_level(logging.WARNING), pytest.raises(UnavailableError):
        await read(settings)
    return caplog.text


async def test_server_of_the_right_authority_is_talked_to_in_cipher(tls_server: TlsServer) -> None:
    assert await read(tls_server.settings())


async def test_server_of_another_authority_is_refused(
    tls_server: TlsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = CertificateAuthority(tmp_path / "stranger")
    assert "certificate verify failed" in await refusal(tls_server.settings(tls_ca_file=stranger.ca_file), caplog)


async def test_server_of_another_name_is_refused(tls_server: TlsServer, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = tls_server.settings(tls_server.url.set(host="localhost"))
    assert "Hostname mismatch" in await refusal(elsewhere, caplog)


async def test_authority_that_cannot_be_read_is_told(
    tls_server: TlsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert "No such file" in await refusal(tls_server.settings(tls_ca_file=tmp_path / "none.pem"), caplog)


async def test_client_certificate_is_shown(tls_server: TlsServer, caplog: pytest.LogCaptureFixture) -> None:
    async def demand(connection) -> None:
        await connection.execute(text("CREATE USER 'certified'@'%' IDENTIFIED BY 'certified' REQUIRE X509"))

    await read(tls_server.settings(), demand)
    url = tls_server.url.set(username="certified", password="certified", database="")
    assert "Access denied" in await refusal(tls_server.settings(url), caplog)
    client = tls_server.authority.issue("client")
    files = {"tls_certificate_file": client.certificate_file, "tls_key_file": client.key_file}
    assert await read(tls_server.settings(url, **files))


async def test_server_that_requires_tls_is_satisfied(tls_server: TlsServer, caplog: pytest.LogCaptureFixture) -> None:
    async def require(connection) -> None:
        await connection.execute(text("SET GLOBAL require_secure_transport = ON"))

    await read(tls_server.settings(), require)
    plain = DatabaseSettings(url=SecretStr(tls_server.url.render_as_string(hide_password=False)))
    assert "no connection to the database" in await refusal(plain, caplog)
    assert await read(tls_server.settings())


async def test_server_without_tls_is_told_no_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority = CertificateAuthority(tmp_path / "authority")
    with server_url("MariaDB_without_TLS", lambda: mariadb_server("--skip-ssl")) as url:
        settings = DatabaseSettings(url=SecretStr(url), tls_ca_file=authority.ca_file)
        assert "the server offers no TLS" in await refusal(settings, caplog)
        assert await read(settings.model_copy(update={"tls_ca_file": None})) == ""
