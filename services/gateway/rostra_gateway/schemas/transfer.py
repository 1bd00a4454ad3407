"""Conversations in and out."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StrictBool, StrictStr

from rostra_gateway.schemas.fields import Metadata
from rostra_gateway.transfer.times import TimeUs

_OPEN = ConfigDict(extra="ignore")
_Id = StrictStr


class ExportQuery(BaseModel):
    """In which form a conversation is wanted."""

    format: Literal["json", "markdown"] = Field(
        "json", description="`json` can be imported again; `markdown` is to read."
    )


class ExportedFeedback(BaseModel):
    """What its owner thinks of an item."""

    model_config = _OPEN
    rating: Literal["positive", "negative"]
    comment: StrictStr | None = None
    updated_at: TimeUs


class ExportedItem(BaseModel):
    """An item, and where it stands."""

    model_config = _OPEN
    id: _Id = Field(description="Names it in this export.")
    parent_id: _Id | None = Field(None, description="The item before it, which comes before it in `items`, too.")
    created_at: TimeUs | None = None
    item: dict[str, Any] = Field(description="OpenAI's item.")
    feedback: ExportedFeedback | None = None


class ExportedConversation(BaseModel):
    """A conversation without its items."""

    model_config = _OPEN
    id: _Id | None = None
    title: StrictStr | None = None
    created_at: TimeUs | None = None
    updated_at: TimeUs | None = None
    metadata: Metadata | None = None
    archived: StrictBool = False
    active_item_id: _Id | None = Field(
        None, description="The last item of the branch that is shown; `null` for none, absent for the last of `items`."
    )


class ConversationExport(BaseModel):
    """A conversation with the items of all its branches, in the order in which they came."""

    model_config = _OPEN
    object: Literal["conversation.export"]
    version: Literal[1]
    exported_at: int | None = None
    conversation: ExportedConversation
    items: list[ExportedItem]


class ImportBody(RootModel[ConversationExport | list[dict[str, Any]]]):
    """The body of `POST /v1/conversations/import`: an export, or an array of exports or of ChatGPT's conversations."""


class SkippedPart(BaseModel):
    """What a conversation had and Rostra cannot keep."""

    kind: str = Field(description="What it is, in the words of where it comes from.")
    count: int


class ImportedConversation(BaseModel):
    """A conversation that was imported."""

    position: int = Field(description="Its place in the request, from 0.")
    id: str
    title: str | None
    items: int = Field(description="How many items it has.")
    skipped: list[SkippedPart]


class RefusedConversation(BaseModel):
    """A conversation that was not imported, and nothing of it."""

    position: int
    title: str | None
    reason: str


class ConversationImport(BaseModel):
    """What became of an import."""

    object: Literal["conversation.import"] = "conversation.import"
    imported: list[ImportedConversation]
    not_imported: list[RefusedConversation]
