"""The ids in paths: what cannot be one answers 404, as an id that nobody has, and reaches no service."""

import re
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import NotFoundError

ID_PATTERN = r"^[A-Za-z0-9_-]{1,128}$"
_PLAN_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"


class _Known:
    """Passes what may be an id on, and raises `NotFoundError` for everything else."""

    def __init__(self, kind: str, reason: ErrorReason, *, pattern: str = ID_PATTERN) -> None:
        self._kind = kind
        self._reason = reason
        self._pattern = pattern

    def __call__(self, value: str) -> str:
        """Return `value` unless it cannot be an id."""
        if not re.fullmatch(self._pattern, value):
            raise NotFoundError(f"There is no such {self._kind}.", reason=self._reason)
        return value


# The pattern stands in the document only: as a constraint it would answer 400.
_DOCUMENTED = Path(json_schema_extra={"pattern": ID_PATTERN, "maxLength": 128})

ModelId = Annotated[
    str,
    Path(json_schema_extra={"minLength": 1, "maxLength": 256}),
    AfterValidator(_Known("model", ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, pattern=r"[^\x00-\x1f\x7f]{1,256}")),
]
ResponseId = Annotated[
    str, _DOCUMENTED, AfterValidator(_Known("response", ErrorReason.ERROR_REASON_RESPONSE_NOT_FOUND))
]
CompletionId = Annotated[
    str, _DOCUMENTED, AfterValidator(_Known("chat completion", ErrorReason.ERROR_REASON_CHAT_COMPLETION_NOT_FOUND))
]
ConversationId = Annotated[
    str, _DOCUMENTED, AfterValidator(_Known("conversation", ErrorReason.ERROR_REASON_CONVERSATION_NOT_FOUND))
]
ItemId = Annotated[str, _DOCUMENTED, AfterValidator(_Known("item", ErrorReason.ERROR_REASON_ITEM_NOT_FOUND))]
ShareId = Annotated[str, _DOCUMENTED, AfterValidator(_Known("share", ErrorReason.ERROR_REASON_SHARE_NOT_FOUND))]
ApiKeyId = Annotated[str, _DOCUMENTED, AfterValidator(_Known("API key", ErrorReason.ERROR_REASON_API_KEY_NOT_FOUND))]
UserId = Annotated[str, _DOCUMENTED, AfterValidator(_Known("user", ErrorReason.ERROR_REASON_USER_NOT_FOUND))]
PlanName = Annotated[
    str,
    Path(json_schema_extra={"pattern": _PLAN_PATTERN, "maxLength": 64}),
    AfterValidator(_Known("plan", ErrorReason.ERROR_REASON_PLAN_NOT_FOUND, pattern=_PLAN_PATTERN)),
]
