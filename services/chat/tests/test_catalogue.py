"""The catalogue is read strictly: what it says wrongly is named."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rostra_chat.catalogue import CatalogueError, Model, ModelLimits, load_catalogue

ENTRY = """
models:
  - id: fast
    provider: openai
    upstream_name: acme/fast-2
    context_window: 8192
    max_output_tokens: 1024
    input_price: 0.15
    cached_input_price: 0.075
    output_price: 0.6
    capabilities: [tools]
    limits: {tokens_per_minute: 100000, concurrent_calls: 8}
    user_limits: {requests_per_minute: 20}
    create_time: 2026-01-02
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "models.yaml"


def test_entry_becomes_a_model_with_prices_in_micros(file: Path) -> None:
    file.write_text(ENTRY)
    assert load_catalogue(file) == (
        Model(
            id="fast",
            provider="openai",
            upstream_name="acme/fast-2",
            context_window=8192,
            max_output_tokens=1024,
            input_price_micros=150_000,
            cached_input_price_micros=75_000,
            output_price_micros=600_000,
            capabilities=frozenset({"tools"}),
            limits=ModelLimits(tokens_per_minute=100_000, concurrent_calls=8),
            user_limits=ModelLimits(requests_per_minute=20),
            create_time=datetime(2026, 1, 2, tzinfo=UTC),
        ),
    )


def test_what_is_left_out_is_as_without_it(file: Path) -> None:
    file.write_text("models: [{id: a, provider: b, input_price: 2, create_time: 2026-01-01}]")
    (model,) = load_catalogue(file)
    assert (model.upstream_name, model.cached_input_price_micros, model.context_window) == ("a", 2_000_000, 0)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (ENTRY + "    colour: red\n", "colour"),
        (ENTRY.replace("provider: openai", "vendor: openai"), "provider"),
        (ENTRY.replace("8192", "-1"), "context_window"),
        (ENTRY.replace("0.15", "-0.15"), "input_price"),
        (ENTRY.replace("8192", "many"), "context_window"),
        (ENTRY.replace("20}", "-20}"), "requests_per_minute"),
        (ENTRY.replace("concurrent_calls", "calls"), "limits.calls"),
        (ENTRY + ENTRY.partition("models:")[2], "named more than once: fast"),
        ("models: [", "models.yaml"),
        ("- fast", "models.yaml"),
        ("", "models.yaml"),
    ],
)
def test_wrong_catalogue_is_refused_and_the_fault_is_named(file: Path, text: str, named: str) -> None:
    file.write_text(text)
    with pytest.raises(CatalogueError, match=named):
        load_catalogue(file)


def test_absent_file_is_refused(file: Path) -> None:
    with pytest.raises(CatalogueError, match=r"models\.yaml"):
        load_catalogue(file)


def test_built_in_catalogue_is_sound() -> None:
    models = {model.id: model for model in load_catalogue()}
    assert models["echo"].provider == "echo"
    assert models["echo"].output_price_micros == 0
    for model in models.values():
        assert model.max_output_tokens < model.context_window
        assert model.cached_input_price_micros <= model.input_price_micros <= model.output_price_micros
