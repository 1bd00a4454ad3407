"""Settings that can be, and those that cannot."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from rostra_history.app import open_store
from rostra_history.documentdb_store import DocumentdbHistoryStore
from rostra_history.settings import DatabaseSettings, Settings
from rostra_history.sqlite_store import SqliteHistoryStore


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("ROSTRA_"):
            monkeypatch.delenv(name)


def test_environment_names_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROSTRA_HISTORY_DATABASE__URL", "mongodb://user:secret@db:27017/?tls=true")
    monkeypatch.setenv("ROSTRA_HISTORY_DATABASE__RETRY_WRITES", "true")
    settings = Settings()
    assert settings.database.retry_writes
    assert settings.database.sqlite_path is None
    assert "secret" not in repr(settings)


def test_database_has_no_default() -> None:
    with pytest.raises(ValidationError, match="database"):
        Settings()


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "postgres://db/x", "history.db"])
def test_unknown_database_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="begins with"):
        DatabaseSettings(url=url)


def test_sqlite_is_refused_in_production() -> None:
    with pytest.raises(ValidationError, match="production needs"):
        Settings(environment="production", database=DatabaseSettings(url="sqlite:///x.db"))


@pytest.mark.parametrize(("url", "path"), [("sqlite:///a/b.db", "a/b.db"), ("sqlite:////a/b.db", "/a/b.db")])
def test_sqlite_url_is_a_path(url: str, path: str) -> None:
    assert DatabaseSettings(url=url).sqlite_path == Path(path)


async def test_url_chooses_the_store(tmp_path: Path) -> None:
    async with open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}/new/h.db")) as store:
        assert isinstance(store, SqliteHistoryStore)
    async with open_store(DatabaseSettings(url="mongodb://127.0.0.1:1/")) as store:
        assert isinstance(store, DocumentdbHistoryStore)
