"""Settings come from the environment, OpenAI's two under the names that every client knows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from rostra_chat.settings import Settings
from rostra_kit.settings import ServiceSettings

INHERITED = tuple(f"ROSTRA_CHAT_{name.upper()}" for name in ServiceSettings.model_fields)
NEEDED = {"ROSTRA_CHAT_HISTORY__TARGET": "history:1", "ROSTRA_CHAT_USER__TARGET": "user:2"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_defaults_need_only_the_other_services() -> None:
    settings = Settings()
    assert (settings.history.target, settings.user.target) == ("history:1", "user:2")
    assert settings.openai_api_key is None
    assert settings.echo.word_delay_seconds == 0.02


def test_variables_set_nested_values(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ROSTRA_CHAT_ECHO__WORD_DELAY_SECONDS", "0.5")
    environment.setenv("ROSTRA_CHAT_PROVIDER__IDLE_TIMEOUT_SECONDS", "7")
    environment.setenv("OPENAI_API_KEY", "sk-secret")
    environment.setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1")
    settings = Settings()
    assert settings.echo.word_delay_seconds == 0.5
    assert settings.provider.idle_timeout_seconds == 7
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-secret"
    assert str(settings.openai_base_url) == "http://127.0.0.1:11434/v1"
    assert "sk-secret" not in repr(settings)


def test_empty_variables_count_as_absent(environment: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ROSTRA_CHAT_CATALOGUE_FILE"):
        environment.setenv(name, "")
    settings = Settings()
    assert (settings.openai_api_key, settings.openai_base_url, settings.catalogue_file) == (None, None, None)


def test_address_that_is_no_url_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OPENAI_BASE_URL", "localhost:11434")
    with pytest.raises(ValidationError, match="OPENAI_BASE_URL"):
        Settings()


def described(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the variable and the description of every setting."""
    for name, setting in model.model_fields.items():
        variable = str(setting.validation_alias or f"{prefix}{name}".upper())
        if isinstance(setting.annotation, type) and issubclass(setting.annotation, BaseModel):
            yield from described(setting.annotation, f"{variable}__")
        else:
            yield variable, str(setting.description)


def test_readme_describes_every_setting() -> None:
    readme = Path(__file__).parent.parent.joinpath("README.md").read_text("utf-8")
    settings = [pair for pair in described(Settings, "ROSTRA_CHAT_") if not pair[0].startswith(INHERITED)]
    assert len(settings) > 20
    for variable, description in settings:
        (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{variable}` |")]
        assert row.endswith(f"| {description.removesuffix('.')} |")
