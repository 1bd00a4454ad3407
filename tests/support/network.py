"""The settings by which a stack's processes reach each other, and what they stand on, through addresses that break."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from support.fault_proxy import FaultProxy
from support.mongodb_proxy import MongodbProxy

LINKS = (
    *(("GATEWAY", "user"), ("GATEWAY", "chat"), ("GATEWAY", "history")),
    *(("CHAT", "user"), ("CHAT", "history"), ("USER", "history")),
)
"""Which service calls which."""

_URLS = {
    "MySQL": "ROSTRA_USER_DATABASE__URL",
    "DocumentDB": "ROSTRA_HISTORY_DATABASE__URL",
    "Redis": "ROSTRA_USER_REDIS__URL",
    "the provider": "OPENAI_BASE_URL",
}


def address_before(server: str, url: str) -> FaultProxy:
    """Return an address, not open yet, that leads to a server."""
    port = urlsplit(url).port or 0
    return (MongodbProxy if server == "DocumentDB" else FaultProxy)(lambda: port)


def targets(addresses: Mapping[str, Iterable[FaultProxy]]) -> dict[str, str]:
    """Return the settings that say where the replicas of each service are."""
    return {
        f"ROSTRA_{caller}_{service.upper()}__TARGET": "ipv4:"
        + ",".join(f"127.0.0.1:{address.port}" for address in addresses[service])
        for caller, service in LINKS
    }


def urls(servers: Mapping[str, str], addresses: Mapping[str, FaultProxy]) -> dict[str, str]:
    """Return the settings that say where each server is, given its URL and the address in front of it."""
    return {_URLS[name]: addresses[name].instead_of(url) for name, url in servers.items()}
