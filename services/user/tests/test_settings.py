from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from rostra_user.app import build
from rostra_user.settings import DatabaseSettings, MigrationSettings, Settings
from rostra_user.signing_keys import SigningKeyError

REQUIRED = {
    "ROSTRA_USER_DATABASE__URL": "sqlite+aiosqlite:///user.db",
    "ROSTRA_USER_SIGNING_KEYS_DIRECTORY": "keys",
    "ROSTRA_USER_REDIS__URL": "redis://127.0.0.1:6379/0",
    "ROSTRA_USER_HISTORY__TARGET": "dns:///history:50051",
}


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_few_variables_suffice(environ: pytest.MonkeyPatch) -> None:
    settings = Settings()
    assert settings.registration == "closed"
    assert settings.signing_keys_directory == Path("keys")
    assert settings.history.target == "dns:///history:50051"
    assert (settings.passwords.memory_kib, settings.passwords.iterations, settings.passwords.parallelism) == (
        19 * 1024,
        2,
        1,
    )
    assert (settings.sessions.access_token_seconds, settings.sessions.refresh_token_seconds) == (600, 30 * 86400)


@pytest.mark.parametrize("name", ["DATABASE__URL", "SIGNING_KEYS_DIRECTORY", "HISTORY__TARGET"])
def test_what_has_no_default_must_be_given(environ: pytest.MonkeyPatch, name: str) -> None:
    environ.delenv(f"ROSTRA_USER_{name}")
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize("code", [None, ""])
def test_invitations_need_a_code(environ: pytest.MonkeyPatch, code: str | None) -> None:
    environ.setenv("ROSTRA_USER_REGISTRATION", "invited")
    if code is not None:
        environ.setenv("ROSTRA_USER_INVITATION_CODE", code)
    with pytest.raises(ValidationError, match="invitation_code"):
        Settings()


def test_secrets_do_not_show(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("ROSTRA_USER_DATABASE__URL", "mysql+aiomysql://rostra:hunter2@db/rostra")
    environ.setenv("ROSTRA_USER_INVITATION_CODE", "hunter2")
    assert "hunter2" not in repr(Settings())


@pytest.mark.parametrize(
    ("url", "given", "migrates"),
    [
        ("sqlite+aiosqlite:///user.db", None, True),
        ("mysql+aiomysql://rostra@db/rostra", None, False),
        ("sqlite+aiosqlite:///user.db", False, False),
        ("mysql+aiomysql://rostra@db/rostra", True, True),
    ],
)
def test_embedded_database_alone_migrates_by_default(url: str, given: bool | None, migrates: bool) -> None:
    assert DatabaseSettings(url=url, migrate_on_start=given).migrates_on_start is migrates


def test_migration_needs_the_database_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROSTRA_USER_DATABASE__URL", "sqlite+aiosqlite:///user.db")
    assert MigrationSettings().database.migrates_on_start


async def test_production_without_a_signing_key_does_not_start(settings: Settings, registry: CollectorRegistry) -> None:
    production = settings.model_copy(update={"environment": "production"})
    with pytest.raises(SigningKeyError, match="no <kid>"):
        async with build(production, registry):
            pass
    assert not settings.signing_keys_directory.exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tls_ca_file": "ca.pem", "tls_key_file": "client.key"}, "need each other"),
        ({"tls_ca_file": "ca.pem", "tls_certificate_file": "client.pem"}, "need each other"),
        ({"tls_certificate_file": "client.pem", "tls_key_file": "client.key"}, "needs a tls_ca_file"),
        ({"lock_timeout_seconds": 8.0}, "read_timeout_seconds must be above"),
    ],
)
def test_database_settings_that_do_not_fit_together_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        DatabaseSettings(url="mysql+aiomysql://rostra@db/rostra", **options)


def test_database_settings_that_are_refused_do_not_tell_the_password() -> None:
    with pytest.raises(ValidationError) as refused:
        DatabaseSettings(url="mysql+aiomysql://rostra:hunter2@db/rostra", tls_key_file="client.key")
    assert "hunter2" not in str(refused.value)
