"""Imports conversations one by one while they arrive; all that is acknowledged, or nothing."""

import logging
from collections.abc import AsyncIterator

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.history.v1 import history_service_pb2 as pb
from rostra_gateway.clients import Clients
from rostra_gateway.request_body import RequestTooLarge
from rostra_gateway.schemas.transfer import (
    ConversationImport,
    ImportedConversation,
    RefusedConversation,
    SkippedPart,
)
from rostra_gateway.settings import ImportSettings
from rostra_gateway.transfer.body_cutter import BodyCutter, Cutting
from rostra_gateway.transfer.import_chatgpt import is_chatgpt_conversation, read_chatgpt_conversation
from rostra_gateway.transfer.import_rostra import is_rostra_export, read_rostra_export
from rostra_gateway.transfer.incoming import Incoming, NotImported, NotJson, parsed, reason_of, title_of
from rostra_kit.client import MAX_MESSAGE_BYTES
from rostra_kit.errors import AppError, InvalidArgumentError, NotFoundError
from rostra_kit.tasks import uninterrupted

logger = logging.getLogger(__name__)

_MOST_KINDS = 20
_OTHER_KINDS = "other"


class Importer:
    """One import.

    Each conversation is imported whole, or refused with a reason while the others go on. When the request itself fails,
    because the body breaks off or is no JSON, the client leaves, or a service is away, what was imported is taken back:
    nobody was told of it. A gateway that dies in the middle leaves the conversations that were whole by then.
    """

    def __init__(self, clients: Clients, settings: ImportSettings) -> None:
        self._history = clients.history
        self._settings = settings
        self._imported: list[ImportedConversation] = []
        self._refused: list[RefusedConversation] = []

    async def run(self, pieces: AsyncIterator[bytes]) -> ConversationImport:
        """Import what a body holds.

        Args:
            pieces: The body, as it arrives.

        Raises:
            InvalidArgumentError: It is no export, or nothing in it could be imported.
            AppError: A service failed.
        """
        try:
            await self._take_all(pieces)
        except BaseException:
            await uninterrupted(self._take_back())
            raise
        if self._refused and not self._imported:
            raise self._nothing_imported()
        return ConversationImport(imported=self._imported, not_imported=self._refused)

    async def _take_all(self, pieces: AsyncIterator[bytes]) -> None:
        cutter = BodyCutter(max_element_bytes=self._settings.max_conversation_bytes)
        async for piece in pieces:
            for cutting in cutter.feed(piece):
                await self._take(cutting)
        for cutting in cutter.close():
            await self._take(cutting)

    async def _take(self, cutting: Cutting) -> None:
        if cutting.position >= self._settings.max_conversations:
            raise RequestTooLarge(f"An import has at most {self._settings.max_conversations} conversations.")
        try:
            incoming = _read(cutting)
            await self._import(cutting.position, incoming)
        except NotJson:
            raise
        except InvalidArgumentError as error:
            refused = RefusedConversation(position=cutting.position, title=title_of(cutting), reason=reason_of(error))
            self._refused.append(refused)

    async def _import(self, position: int, incoming: Incoming) -> None:
        answer = await self._history.call(
            self._history.stub.ImportConversation,
            incoming.request,
            timeout_seconds=self._settings.conversation_seconds,
        )
        imported = ImportedConversation(
            position=position,
            id=answer.conversation.id,
            title=answer.conversation.title or None,
            items=len(incoming.request.items),
            skipped=_skipped_parts(incoming),
        )
        self._imported.append(imported)

    def _nothing_imported(self) -> InvalidArgumentError:
        first = self._refused[0]
        return NotImported(
            f"Nothing was imported. Conversation {first.position}: {first.reason}",
            reason=ErrorReason.ERROR_REASON_INVALID_VALUE,
            param=f"[{first.position}]",
        )

    async def _take_back(self) -> None:
        for imported in self._imported:
            request = pb.DeleteConversationRequest(conversation_id=imported.id)
            try:
                await self._history.call(self._history.stub.DeleteConversation, request)
            except NotFoundError:
                continue
            except AppError as error:
                logger.warning("an import that failed could not be taken back: %s", error.message)
                return


def _read(cutting: Cutting) -> Incoming:
    document = parsed(cutting)
    if is_rostra_export(document):
        read = read_rostra_export
    elif is_chatgpt_conversation(document):
        read = read_chatgpt_conversation
    else:
        raise NotImported("It is neither an export of Rostra's nor a conversation of ChatGPT's.")
    try:
        incoming = read(document)
    except UnicodeEncodeError as error:
        raise NotImported("It holds half of a surrogate pair, which is no character.") from error
    if incoming.request.ByteSize() > MAX_MESSAGE_BYTES:
        raise NotImported("It is larger than can be imported.")
    return incoming


def _skipped_parts(incoming: Incoming) -> list[SkippedPart]:
    ranked = incoming.skipped.most_common()
    parts = [SkippedPart(kind=kind, count=count) for kind, count in ranked[:_MOST_KINDS]]
    others = sum(count for _, count in ranked[_MOST_KINDS:])
    return [*parts, SkippedPart(kind=_OTHER_KINDS, count=others)] if others else parts
