"""Conversations on their way in. OpenAI has no such endpoint."""

from fastapi import APIRouter, Request

from rostra_gateway.body import check_says_json
from rostra_gateway.dependencies import AdmittedCaller, CurrentEdge, CurrentExchange
from rostra_gateway.openapi import request_body
from rostra_gateway.schemas.transfer import ConversationImport, ImportBody
from rostra_gateway.transfer.importer import Importer
from rostra_gateway.upload import UploadRoute, upload_of
from rostra_kit.errors import UnavailableError

router = APIRouter(prefix="/v1/conversations", tags=["Export and import"], route_class=UploadRoute)

_BUSY_SECONDS = 5.0


@router.post("/import", openapi_extra=request_body(ImportBody))
async def import_conversations(
    request: Request, edge: CurrentEdge, exchange: CurrentExchange, caller: AdmittedCaller
) -> ConversationImport:
    """Import conversations: one of our exports or several, a whole `user.export`, or ChatGPT's `conversations.json`.

    Each is imported whole, or refused with the reason. A request that fails leaves nothing.
    """
    check_says_json(request)
    if edge.import_turns.locked():
        raise UnavailableError("Too many imports are under way. Try again soon.", retry_after_seconds=_BUSY_SECONDS)
    async with edge.import_turns, (await edge.admission.open_stream(caller, exchange)).held():
        return await Importer(edge.clients, edge.settings.imports).run(upload_of(request).pieces())
