"""A conversation on its way in, whatever system it comes from: parsed, and told apart."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from rostra.history.v1.history_service_pb2 import ImportConversationRequest
from rostra_gateway.transfer.body_cutter import Cutting
from rostra_kit.errors import AppError, InvalidArgumentError

MAX_VALUES = 2_000_000

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_TITLE = re.compile(rb'"title"\s*:\s*("(?:[^"\\]++|\\.)*+")', re.DOTALL)
_TITLE_WITHIN_BYTES = 4096
_LONGEST_TITLE = 200
_LONGEST_KEY = 100


class NotImported(InvalidArgumentError):
    """The conversation cannot be imported."""


class NotJson(InvalidArgumentError):
    """What was cut out of a body is no JSON, and so the body is none."""


@dataclass(slots=True)
class Incoming:
    """A conversation that can be imported.

    Attributes:
        request: What the history service is asked.
        skipped: What of it is left behind: how often, by its kind.
    """

    request: ImportConversationRequest
    skipped: Counter[str] = field(default_factory=Counter)


def parsed(cutting: Cutting) -> dict[str, Any]:
    """Return the object that was cut out of a body; numbers keep all their digits.

    Raises:
        NotImported: It is too large, or no conversation.
        NotJson: It is no JSON.
    """
    if cutting.fault:
        raise NotImported(cutting.fault)
    if cutting.raw.count(b",") > MAX_VALUES and _STRINGS.sub(b"", cutting.raw).count(b",") > MAX_VALUES:
        raise NotImported(f"It has more than {MAX_VALUES} values.")
    try:
        document = json.loads(
            cutting.raw.decode(),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError) as error:
        raise NotJson(f"The request body is not valid JSON: conversation {cutting.position} is not.") from error
    if not isinstance(document, dict):
        raise NotImported("A conversation is an object.")
    return document


def title_of(cutting: Cutting) -> str | None:
    """Return what people may know the conversation by, also when it cannot be imported."""
    found = _TITLE.search(cutting.raw[:_TITLE_WITHIN_BYTES])
    try:
        title = json.loads(found[1]) if found else None
    except ValueError:
        return None
    return title[:_LONGEST_TITLE].encode(errors="replace").decode() if title else None


def body_text(item: Any, *, param: str) -> bytes:
    """Return an item as JSON.

    Raises:
        NotImported: It holds half of a surrogate pair, or a number beyond all bounds.
    """
    try:
        text = json.dumps(item, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=float)
        return text.encode()
    except (ValueError, OverflowError, RecursionError) as error:
        raise NotImported(f"'{param}' is not JSON that can be stored.", param=param) from error


def reason_of(error: AppError) -> str:
    """Return why a conversation is not imported, in a sentence that names the field."""
    return f"{error.param}: {error.message}" if error.param and error.param not in error.message else error.message


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotImported(f"The key '{twice[:_LONGEST_KEY]}' occurs twice in one object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
