"""The settings of chat."""

from pathlib import Path

from pydantic import BaseModel, Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from rostra_kit.redis import RedisSettings
from rostra_kit.settings import ServiceAddress, ServiceSettings, settings_config


class ProviderSettings(BaseModel):
    """How long to wait for a provider that is called over the network."""

    connect_timeout_seconds: float = Field(5.0, gt=0, description="Longest time that a connection may take to be made.")
    first_byte_timeout_seconds: float = Field(
        60.0, gt=0, description="Longest time from a request to the first piece of its stream."
    )
    idle_timeout_seconds: float = Field(60.0, gt=0, description="Longest pause between two pieces of a stream.")
    answer_timeout_seconds: float = Field(
        600.0, gt=0, description="Longest time for a whole answer that is not streamed."
    )
    max_connections: int = Field(2000, ge=1, description="Most connections that are open at once.")


class DiscoverySettings(BaseModel):
    """How a provider's own list of models is read."""

    refresh_seconds: float = Field(60.0, gt=0, description="Time between two readings.")
    min_refresh_seconds: float = Field(
        5.0, ge=0, description="Shortest time between two readings because of an unknown model."
    )
    timeout_seconds: float = Field(5.0, gt=0, description="Longest time that a reading may take.")


class EchoSettings(BaseModel):
    """The built-in offline model."""

    enabled: bool = Field(default=True, description="Whether the model `echo` is offered.")
    word_delay_seconds: float = Field(0.02, ge=0, description="Pause before each word of a stream.")


class BackgroundSettings(BaseModel):
    """Responses that run in the background."""

    max_runs: int = Field(32, ge=0, description="Most background responses that one replica runs at once; 0 for none.")
    lease_seconds: float = Field(
        6.0, gt=0, description="Time after which a response whose runner is not heard of is another runner's."
    )
    renew_seconds: float = Field(2.0, gt=0, description="Time between two renewals of all leases of a replica.")
    poll_seconds: float = Field(1.0, gt=0, description="Longest time between two looks at the queue.")
    gather_seconds: float = Field(
        0.05, ge=0, description="Time for which events are gathered before they are written to the log."
    )
    keep_events_seconds: float = Field(3600.0, gt=0, description="Time for which events are kept after the last one.")


class Settings(ServiceSettings):
    """The settings of chat: `ROSTRA_CHAT_…`, and the two names that every OpenAI client knows."""

    model_config = settings_config("ROSTRA_CHAT_") | SettingsConfigDict(populate_by_name=True)

    redis: RedisSettings = RedisSettings()
    history: ServiceAddress
    user: ServiceAddress
    openai_api_key: SecretStr | None = Field(
        None, validation_alias="OPENAI_API_KEY", description="Key of the OpenAI-compatible provider."
    )
    openai_base_url: HttpUrl | None = Field(
        None,
        validation_alias="OPENAI_BASE_URL",
        description="Address of any OpenAI-compatible server, for example vLLM or Ollama; OpenAI's own by default.",
    )
    provider: ProviderSettings = ProviderSettings()
    catalogue_file: Path | None = Field(None, description="Catalogue of models to use in place of the built-in one.")
    discovery: DiscoverySettings = DiscoverySettings()
    echo: EchoSettings = EchoSettings()
    background: BackgroundSettings = BackgroundSettings()
    call_hold_seconds: float = Field(
        30.0, gt=0, description="Time after which a call whose chat is not heard of is billed for its input."
    )
    response_lease_seconds: float = Field(
        20.0,
        gt=0,
        description="Time after which a response whose client waits, and whose chat is not heard of, ends as failed.",
    )
    default_max_output_tokens: int = Field(
        4096, ge=1, description="Output tokens that are reserved when neither the request nor the model bounds them."
    )

    @field_validator("openai_api_key", "openai_base_url", "catalogue_file", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        """Let an empty variable mean what an absent one means: compose files and charts cannot unset."""
        return None if value == "" else value
