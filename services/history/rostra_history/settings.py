"""The settings of the history service, read from `ROSTRA_HISTORY_…`."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from rostra_kit.settings import ServiceSettings, settings_config


class DatabaseSettings(BaseModel):
    """Where everything is kept."""

    url: SecretStr = Field(
        description="`mongodb://user:password@host:27017/?tls=true&replicaSet=rs0` or `sqlite:///path/to/file`."
    )
    name: str = Field("rostra_history", description="Database of a MongoDB server whose URL names none.")
    tls_ca_file: Path | None = Field(None, description="Certificates that the MongoDB server's must descend from.")
    retry_writes: bool = Field(
        False, description="Let the driver repeat writes; Amazon DocumentDB can do so from 8.0.2 on only."
    )
    max_connections: int = Field(50, ge=1, description="Most connections to the MongoDB server from one replica.")
    timeout_seconds: float = Field(
        2.0, gt=0, description="Time to find a MongoDB server, connect to it, or get a free connection."
    )
    silence_seconds: float = Field(
        4.0,
        gt=0,
        description="Time after which a MongoDB server that does not answer an operation is given up; a read, whatever "
        "it waits for, may take 1 s more in all.",
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: SecretStr) -> SecretStr:
        value = url.get_secret_value()
        if value.startswith("sqlite:///") and len(value) > len("sqlite:///"):
            return url
        if urlsplit(value).scheme in ("mongodb", "mongodb+srv"):
            return url
        raise ValueError("a URL of a database begins with mongodb:// or sqlite:///")

    @property
    def sqlite_path(self) -> Path | None:
        """Return the file of a SQLite database; `None` for a MongoDB server."""
        value = self.url.get_secret_value()
        return Path(value.removeprefix("sqlite:///")) if value.startswith("sqlite:///") else None


class Settings(ServiceSettings):
    """The settings of the history service."""

    model_config = settings_config("ROSTRA_HISTORY_")

    database: DatabaseSettings
    abandoned_after_seconds: float = Field(
        4200.0,
        gt=0,
        description="Time after which nobody can be running a response for a waiting client any more, where it has no "
        "lease: above the gateway's longest request.",
    )

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.environment == "production" and self.database.sqlite_path is not None:
            raise ValueError("SQLite serves one replica on one disk: production needs a mongodb:// database")
        return self
