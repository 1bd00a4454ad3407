"""The address of a server for the MongoDB wire that can, beside what breaks in any, refuse or hold its commands."""

import asyncio
import struct
from enum import Enum, auto

import bson

from support.fault_proxy import FaultProxy

_HEADER = struct.Struct("<iiii")  # length of all, request, request that is answered, kind of message
_OP_MSG = 2013
# After the flags, the kind of section and the document's length and first type: the name of the command.
_NAME_AT = 4 + 1 + 4 + 1
# What makes and watches connections.
_ALWAYS = {b"hello", b"isMaster", b"ismaster", b"saslStart", b"saslContinue"}
_NOT_PRIMARY = bson.encode({"ok": 0.0, "errmsg": "not primary", "code": 10107, "codeName": "NotWritablePrimary"})


class _Command(Enum):
    PASSES, IS_REFUSED, IS_HELD = auto(), auto(), auto()


class MongodbProxy(FaultProxy):
    """Passes connections on to a port, until it is told to do worse: with connections, or with commands."""

    _command = _Command.PASSES

    async def heal(self) -> None:
        """Pass everything on from now on; what was held is not answered any more."""
        self._command = _Command.PASSES
        await super().heal()

    def refuse_commands(self) -> None:
        """Answer each command as a primary does that has become a replica."""
        self._command = _Command.IS_REFUSED

    def hold_commands(self) -> None:
        """Answer no command, as one that waits for a lock."""
        self._command = _Command.IS_HELD

    async def _pass_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        was_silent = False
        try:
            while True:
                head = await reader.readexactly(_HEADER.size)
                length, request_id, _, kind = _HEADER.unpack(head)
                body = await reader.readexactly(length - _HEADER.size)
                name = body[_NAME_AT : body.index(0, _NAME_AT)] if kind == _OP_MSG else b"hello"
                if self._command is _Command.PASSES or name in _ALWAYS:
                    was_silent = was_silent or self._is_silent
                    if not was_silent:
                        writer.write(head + body)
                elif self._command is _Command.IS_REFUSED:
                    back.write(_reply(request_id))
        except asyncio.IncompleteReadError:
            writer.transport.abort()


def _reply(request_id: int) -> bytes:
    message = bytes(4 + 1) + _NOT_PRIMARY  # no flags, one document
    return _HEADER.pack(_HEADER.size + len(message), 0, request_id, _OP_MSG) + message
