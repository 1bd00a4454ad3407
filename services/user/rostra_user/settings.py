"""The settings of the user service, read from `ROSTRA_USER_…`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings
from sqlalchemy import make_url

from rostra_kit.redis import RedisSettings
from rostra_kit.settings import ServiceAddress, ServiceSettings, settings_config

_CONFIG = settings_config("ROSTRA_USER_")


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class DatabaseSettings(_Group):
    """Where accounts, keys and the ledger are stored."""

    url: SecretStr = Field(
        description="`sqlite+aiosqlite:////path/user.db`, or `mysql+aiomysql://user:password@host/database`."
    )
    replica_url: SecretStr | None = Field(
        None, description="MySQL: a read replica's URL, for sums that are only shown; else the same settings hold."
    )
    user_file: Path | None = Field(
        None, description="MySQL: holds the user in place of the URL's; read for each new connection."
    )
    password_file: Path | None = Field(
        None, description="MySQL: holds the password in place of the URL's; read for each new connection."
    )
    migrate_on_start: bool | None = Field(
        None, description="Whether to bring the schema up to date at start; by default on SQLite only."
    )
    tls_ca_file: Path | None = Field(
        None,
        description="MySQL: CA certificates; with them, connections use TLS with a server of the URL's name or fail.",
    )
    tls_certificate_file: Path | None = Field(None, description="MySQL: the certificate that this client shows.")
    tls_key_file: Path | None = Field(None, description="MySQL: the private key of that certificate.")
    pool_size: int = Field(5, ge=1, description="Connections kept open.")
    pool_overflow: int = Field(5, ge=0, description="Connections opened beyond those while there is a rush.")
    pool_timeout_seconds: float = Field(3.0, gt=0, description="Longest wait for a free connection.")
    pool_recycle_seconds: int = Field(280, gt=0, description="Age at which a connection is replaced.")
    connect_timeout_seconds: float = Field(
        2.0, gt=0, description="MySQL: longest time that a new connection may take; a sign of life, half."
    )
    read_timeout_seconds: float = Field(
        4.0, gt=0, description="MySQL: longest wait for the answer to a statement; above the lock timeout."
    )
    lock_timeout_seconds: float = Field(3.0, gt=0, description="Longest wait for somebody else's write.")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file need each other")
        if self.tls_certificate_file is not None and self.tls_ca_file is None:
            raise ValueError("tls_certificate_file needs a tls_ca_file: without one there is no TLS")
        if self.read_timeout_seconds <= self.lock_timeout_seconds:
            raise ValueError("read_timeout_seconds must be above lock_timeout_seconds")
        return self

    @property
    def migrates_on_start(self) -> bool:
        """Tell whether the schema is brought up to date at start."""
        if self.migrate_on_start is None:
            return make_url(self.url.get_secret_value()).get_backend_name() == "sqlite"
        return self.migrate_on_start


class PasswordSettings(_Group):
    """What hashing a password (Argon2id) costs. Stored hashes of another cost are replaced at the next log-in."""

    memory_kib: int = Field(19 * 1024, ge=8, description="Memory of one hash, in KiB.")
    iterations: int = Field(2, ge=1, description="Passes over the memory.")
    parallelism: int = Field(1, ge=1, description="Lanes of one hash.")
    concurrency: int = Field(2, ge=1, description="Hashes computed at once, each in a thread of its own.")
    waiting_limit: int = Field(200, ge=1, description="Hashes that may wait for a thread; more are refused.")


class SessionSettings(_Group):
    """How long signing in lasts."""

    signing_keys_reload_seconds: float = Field(
        30.0,
        gt=0,
        description="How often the signing keys are read again; a new key signs at the second reading.",
    )
    access_token_seconds: int = Field(600, ge=1, description="Lifetime of an access token.")
    refresh_token_seconds: int = Field(30 * 86400, ge=1, description="Lifetime of a refresh token.")


class UsageQueueSettings(_Group):
    """How usage events travel from the queue to the ledger."""

    batch_size: int = Field(200, ge=1, le=200, description="Most events written in one transaction.")
    block_seconds: float = Field(2.0, gt=0, description="Longest wait for new events before looking for lost ones.")
    claim_after_seconds: float = Field(
        30.0, gt=0, description="Time after which events that another replica took and did not write are taken over."
    )
    gather_seconds: float = Field(
        0.2, ge=0, description="Pause after a batch that was not full, so that events are written by the batch."
    )
    retry_seconds: float = Field(1.0, gt=0, description="Pause after Redis or the database was away.")


class ErasureSettings(_Group):
    """How deleted accounts are erased everywhere."""

    interval_seconds: float = Field(30.0, gt=0, description="How often what is left to erase is tried.")
    last_pass_after_seconds: float = Field(
        900.0,
        ge=0,
        description="Time after a deletion at which all is erased once more: calls under way have ended.",
    )


class AuditSettings(_Group):
    """How long the audit log is kept."""

    keep_days: int = Field(365, ge=1, le=36500, description="Age, in days, at which audit events are removed.")
    interval_seconds: float = Field(3600.0, gt=0, description="How often those that are old are looked for.")


class Settings(ServiceSettings):
    """All settings of the user service."""

    model_config = _CONFIG

    database: DatabaseSettings
    redis: RedisSettings
    history: ServiceAddress
    signing_keys_directory: Path = Field(
        description="Folder of `<kid>.pem` Ed25519 private keys (PKCS8). All are published; the last by name signs."
    )
    registration: Literal["open", "invited", "closed"] = Field("closed", description="Who may register an account.")
    invitation_code: SecretStr | None = Field(None, description="The code that `invited` registration asks for.")
    api_keys_per_user: int = Field(100, ge=1, description="Live API keys that one account may have.")
    passwords: PasswordSettings = PasswordSettings()
    sessions: SessionSettings = SessionSettings()
    usage_queue: UsageQueueSettings = UsageQueueSettings()
    erasure: ErasureSettings = ErasureSettings()
    audit: AuditSettings = AuditSettings()

    @model_validator(mode="after")
    def _invite_with_a_code(self) -> Self:
        code = self.invitation_code.get_secret_value() if self.invitation_code else ""
        if self.registration == "invited" and not code:
            raise ValueError("registration `invited` needs an invitation_code")
        return self


class MigrationSettings(BaseSettings):
    """All that a migration needs: a job that migrates knows no other secret."""

    model_config = _CONFIG

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    database: DatabaseSettings


class CommandSettings(MigrationSettings):
    """All that the operator's command needs; Redis tells the gateways of what it changes."""

    redis: RedisSettings = RedisSettings()
