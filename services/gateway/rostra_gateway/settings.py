"""The gateway's settings."""

from typing import Annotated

from pydantic import BaseModel, Field

from rostra_kit.redis import RedisSettings
from rostra_kit.settings import ServiceAddress, ServiceSettings, settings_config


class RequestSettings(BaseModel):
    """What a request may be."""

    max_head_seconds: float = Field(
        30.0, gt=0, description="Longest time that a request's path and headers may take to arrive."
    )
    max_body_bytes: int = Field(10 * 1024 * 1024, ge=1, description="Largest request body.")
    max_upload_seconds: float = Field(120.0, gt=0, description="Longest time that a request's body may take to arrive.")
    max_messages: int = Field(4096, ge=1, description="Most messages, or input items, in one request.")
    max_seconds: float = Field(3600.0, gt=0, description="Longest time that a model may work on one request.")
    max_under_way: int = Field(
        1000, ge=1, description="Most requests that one gateway has under way, open streams included."
    )
    trusted_proxies: int = Field(
        0, ge=0, description="Number of proxies in front whose `X-Forwarded-For` is believed; 1 behind an ALB."
    )


class ImportSettings(BaseModel):
    """What may be imported at once."""

    max_body_bytes: int = Field(256 * 1024 * 1024, ge=1, description="Largest body of an import.")
    max_upload_seconds: float = Field(
        3600.0, gt=0, description="Longest time that an import may take until its body has arrived."
    )
    max_conversation_bytes: int = Field(
        32 * 1024 * 1024, ge=1, le=48 * 1024 * 1024, description="Largest conversation that is imported."
    )
    max_conversations: int = Field(10_000, ge=1, description="Most conversations in one import.")
    max_at_once: int = Field(4, ge=1, description="Most imports that one gateway has under way.")
    conversation_seconds: float = Field(
        120.0, gt=0, description="Longest time that one conversation may take to store."
    )


class AddressLimits(BaseModel):
    """What one network address may do, whoever is behind it."""

    requests_per_minute: int = Field(6000, ge=1, description="API requests per minute from one address.")
    sign_ins_per_minute: int = Field(30, ge=1, description="Registrations, log-ins and refreshes per minute.")
    log_ins_per_account: int = Field(
        30, ge=1, description="Log-ins per minute to one account, right or wrong, from all addresses together."
    )
    concurrent_streams: int = Field(500, ge=1, description="Streams open at once from one address.")


Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.:\[\]-]+$")]


class CorsSettings(BaseModel):
    """Which web pages may use the API from a browser."""

    allowed_origins: tuple[Origin, ...] = Field(
        (), description='Origins, exactly as browsers send them, as JSON: `["https://app.example.com"]`.'
    )
    max_age_seconds: int = Field(600, ge=0, description="Time for which a browser need not ask again.")


class CacheSettings(BaseModel):
    """How long the gateway remembers who a credential stands for."""

    max_callers: int = Field(10_000, ge=1, description="Most credentials remembered.")
    caller_seconds: float = Field(60.0, gt=0, description="Time a credential is remembered while revocations arrive.")
    blind_caller_seconds: float = Field(1.0, gt=0, description="The same while Redis, and so revocations, are away.")


class IdempotencySettings(BaseModel):
    """How long answers are kept for requests with an `Idempotency-Key`."""

    keep_seconds: float = Field(86_400.0, gt=0, description="Time for which an answer is kept under its key.")
    max_answer_bytes: int = Field(1024 * 1024, ge=0, description="Largest answer that is kept.")
    wait_seconds: float = Field(20.0, ge=0, description="How long a request waits for the one that has its key.")
    lease_seconds: float = Field(30.0, gt=0, description="Time after which the key of a gateway that died is free.")


class Settings(ServiceSettings):
    """The gateway's settings."""

    model_config = settings_config("ROSTRA_GATEWAY_")

    user: ServiceAddress
    chat: ServiceAddress
    history: ServiceAddress
    redis: RedisSettings = RedisSettings()
    request: RequestSettings = RequestSettings()
    imports: ImportSettings = ImportSettings()
    address_limits: AddressLimits = AddressLimits()
    cors: CorsSettings = CorsSettings()
    cache: CacheSettings = CacheSettings()
    idempotency: IdempotencySettings = IdempotencySettings()
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]*[^\s?#/]$",
        description="Where people reach the gateway, such as `https://chat.example.com`: links begin with it.",
    )
    hsts_seconds: int = Field(
        31_536_000,
        ge=0,
        description="Time for which browsers keep to HTTPS when the public URL has it; 0 does not tell them.",
    )
    heartbeat_seconds: float = Field(
        12.0, gt=0, description="Longest silence on a stream; below CloudFront's 30 s and the ALB's 60 s."
    )
    stream_hold_seconds: float = Field(
        60.0, gt=0, description="Time after which the streams of a gateway that died no longer count as open."
    )
    keep_alive_seconds: int = Field(75, gt=0, description="Time an idle connection stays open; above the ALB's 60 s.")
