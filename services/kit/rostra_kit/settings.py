"""The settings that every service has. A service's own subclass adds what only it needs.

Settings come from the environment, `ROSTRA_<SERVICE>_…`, with `__` between nested names; they are read once, in
`__main__`, and handed on as values.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]


def settings_config(prefix: str) -> SettingsConfigDict:
    """Return how a service's settings are read from variables that begin with `prefix`."""
    return SettingsConfigDict(env_prefix=prefix, env_nested_delimiter="__", frozen=True, extra="ignore")


class ServerTls(BaseModel):
    """What a service shows to others, and whom it lets in."""

    cert_file: Path = Field(description="The service's certificate, with those between it and its authority.")
    key_file: Path = Field(description="The certificate's private key.")
    client_ca_file: Path = Field(description="The authorities that sign the certificates of clients.")


class ClientTls(BaseModel):
    """What a service shows to another that it calls, and which one it trusts."""

    ca_file: Path = Field(description="The authorities that sign the certificates of the services called.")
    cert_file: Path = Field(description="The caller's certificate.")
    key_file: Path = Field(description="The certificate's private key.")
    server_name: str | None = Field(None, description="Name that the certificate must have, if not the target's.")


class ListenSettings(BaseModel):
    """Where a service listens."""

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` in a container.")
    port: Port = Field(0, description="Port for clients; 0 lets the system choose.")
    metrics_port: Port = Field(0, description="Port for `/metrics`; 0 lets the system choose.")
    tls: ServerTls | None = Field(
        None, description="`cert_file`, `key_file` and `client_ca_file` for mutual TLS; gRPC services only."
    )
    health_port: Port = Field(
        0,
        description="With TLS, port for health checks without it, and for nothing else; 0 lets the system choose.",
    )

    def address(self, port: int) -> str:
        """Return host and port as gRPC writes them: IPv6 addresses are in brackets."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


class ShutdownSettings(BaseModel):
    """How a service ends after SIGTERM."""

    endpoint_removal_seconds: float = Field(
        0.0, ge=0, description="Time to go on serving while load balancers learn that the service is leaving."
    )
    drain_seconds: float = Field(30.0, ge=0, description="Time that calls and streams under way get to finish.")


class ServiceSettings(BaseSettings):
    """The settings that every service has."""

    environment: Literal["development", "production"] = Field(
        "development", description="`production` refuses settings that are only fit for development."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    listen: ListenSettings = ListenSettings()
    shutdown: ShutdownSettings = ShutdownSettings()


class ServiceAddress(BaseModel):
    """Where another service is found."""

    target: str = Field(
        description="gRPC target: `dns:///history-headless:50051`, or `ipv4:127.0.0.1:7003,127.0.0.1:7004`."
    )
    timeout_seconds: float = Field(10.0, gt=0, description="Longest time that one ordinary call may take.")
    tls: ClientTls | None = Field(
        None, description="`…__CA_FILE`, `…__CERT_FILE`, `…__KEY_FILE`, `…__SERVER_NAME` for mutual TLS."
    )
