"""Finding conversations by their words. OpenAI has no such endpoint."""

from typing import Annotated

from fastapi import APIRouter, Query

from rostra_gateway.dependencies import AdmittedCaller, CurrentClients
from rostra_gateway.schemas.conversation_search import ConversationMatch, SearchQuery
from rostra_gateway.schemas.list_object import ListObject

router = APIRouter(prefix="/v1/conversations", tags=["Conversations"])


@router.get("/search")
async def search_conversations(
    search: Annotated[SearchQuery, Query()], clients: CurrentClients, _: AdmittedCaller
) -> ListObject[ConversationMatch]:
    """Find the caller's conversations with all words of the query in one message, or in the title; newest first."""
    history = clients.history
    answer = await history.call(history.stub.SearchConversations, search.to_proto())
    matches = [ConversationMatch.from_proto(match) for match in answer.matches]
    return ListObject[ConversationMatch].of(matches, has_more=answer.has_more)
