"""What a stack consists of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """What a stack consists of.

    Attributes:
        data: The folder that holds databases, keys and logs; made when absent.
        port: The first gateway's port; 0 lets the system choose.
        gateways: Number of gateway processes; likewise the other services.
        environment: Settings for the services, over those of this process: `ROSTRA_CHAT_…`.
    """

    data: Path
    port: int = 8080
    gateways: int = 1
    chats: int = 1
    histories: int = 1
    users: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
