"""What both ends of a carrying stream agree on."""

from collections.abc import Iterable
from typing import TypeAlias

from rostra.carrier.v1.carrier_service_pb2 import Metadatum

METHOD = "/rostra.carrier.v1.CarrierService/Carry"
WINDOW = 64
"""How many messages a call may send that nobody has taken yet: a slow reader holds up its own call, and no other."""

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]


def packed(metadata: Metadata) -> list[Metadatum]:
    """Return gRPC's metadata as they are carried."""
    return [
        Metadatum(key=key, value=value if isinstance(value, bytes) else value.encode("latin-1"))
        for key, value in metadata
    ]


def unpacked(metadata: Iterable[Metadatum]) -> tuple[tuple[str, str | bytes], ...]:
    """Return what was carried as gRPC's metadata."""
    return tuple(
        (each.key, each.value if each.key.endswith("-bin") else each.value.decode("latin-1")) for each in metadata
    )
