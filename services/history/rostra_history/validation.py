"""What a request may hold: bounds on metadata, titles, lists and pages, and JSON that can be kept."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from rostra_history.domain import PageRequest
from rostra_kit.errors import InvalidArgumentError

MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY_LENGTH = 64
MAX_METADATA_VALUE_LENGTH = 512
MAX_TITLE_LENGTH = 200
MAX_NEW_ITEMS = 20
MAX_COMPLETION_BYTES = 15 * 1024 * 1024  # a document of MongoDB's has 16 MiB at most
DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Check the client's pairs.

    Raises:
        InvalidArgumentError: There are too many, or one is too long.
    """
    if len(metadata) > MAX_METADATA_PAIRS:
        raise InvalidArgumentError(f"Metadata has at most {MAX_METADATA_PAIRS} pairs.", param="metadata")
    for key, value in metadata.items():
        if len(key) > MAX_METADATA_KEY_LENGTH:
            raise InvalidArgumentError(
                f"A key of metadata has at most {MAX_METADATA_KEY_LENGTH} characters.", param="metadata"
            )
        if len(value) > MAX_METADATA_VALUE_LENGTH:
            raise InvalidArgumentError(
                f"A value of metadata has at most {MAX_METADATA_VALUE_LENGTH} characters.", param="metadata"
            )


def check_title(title: str | None) -> None:
    """Check a conversation's title.

    Raises:
        InvalidArgumentError: It is too long.
    """
    if title is not None and len(title) > MAX_TITLE_LENGTH:
        raise InvalidArgumentError(f"A title has at most {MAX_TITLE_LENGTH} characters.", param="title")


def check_new_items(items: Sequence[object]) -> None:
    """Check how many items are added at once.

    Raises:
        InvalidArgumentError: Too many.
    """
    if len(items) > MAX_NEW_ITEMS:
        raise InvalidArgumentError(f"At most {MAX_NEW_ITEMS} items can be added at once.", param="items")


def page_request(*, page_size: int, after_id: str, descending: bool) -> PageRequest:
    """Return the page that is asked for, within bounds; a size of 0 means the default.

    Raises:
        InvalidArgumentError: The size is negative.
    """
    if page_size < 0:
        raise InvalidArgumentError("A limit is not negative.", param="limit")
    limit = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    return PageRequest(limit=limit, after_id=after_id or None, descending=descending)


def parse_json(text: str, *, param: str) -> Any:
    """Return the value of JSON text; whole numbers keep all their digits.

    Raises:
        InvalidArgumentError: It is not JSON, or cannot be kept as it is.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"'{param}' is not JSON that can be stored.", param=param) from error


def json_text(value: Any, *, param: str) -> str:
    """Return `value` as JSON text that any UTF-8 reader can read.

    Raises:
        InvalidArgumentError: It holds half of a surrogate pair, or a number beyond all bounds.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"'{param}' is not JSON that can be stored.", param=param) from error
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
