"""A DNS server on loopback, in the place of a cluster's: names have the addresses that a test gives them."""

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

_ANSWER, _FORMAT = 0x8180, "!HHHHHH"
_A, _IN = 1, 1
_POINTER_TO_NAME = 0xC00C


class NameServer(asyncio.DatagramProtocol):
    """Answers for A records; everything else exists without records.

    Attributes:
        names: The addresses of each name; change them as pods would.
        asked: How often each name was asked for.
    """

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}
        self.asked: dict[str, int] = {}
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def authority(self) -> str:
        """Return its address, as it stands between the slashes of `dns://…/name:port`."""
        assert self._transport
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def set(self, name: str, addresses: Iterable[str]) -> None:
        """Give a name its addresses."""
        self.names[name] = tuple(addresses)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are sent by."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        assert self._transport
        name, question = _question(data)
        (kind,) = struct.unpack("!H", question[-4:-2])
        addresses = self.names.get(name, ()) if kind == _A else ()
        if kind == _A:
            self.asked[name] = self.asked.get(name, 0) + 1
        header = struct.pack(_FORMAT, struct.unpack("!H", data[:2])[0], _ANSWER, 1, len(addresses), 0, 0)
        records = b"".join(_record(address) for address in addresses)
        self._transport.sendto(header + question + records, addr)


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """Run a name server while the context is open."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    try:
        yield protocol
    finally:
        transport.close()


def _question(data: bytes) -> tuple[str, bytes]:
    """Return the name that is asked for, and the question as it came."""
    labels, at = [], 12
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels).lower(), data[12 : at + 5]


def _record(address: str) -> bytes:
    packed = ipaddress.IPv4Address(address).packed
    return struct.pack("!HHHIH", _POINTER_TO_NAME, _A, _IN, 0, len(packed)) + packed
