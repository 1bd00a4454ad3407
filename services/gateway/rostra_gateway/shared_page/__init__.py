"""The pages on which people read a shared conversation, or that it is not there: HTML that runs and loads nothing.

All that users and models wrote is escaped, here and nowhere else; the pages' own words are those of `page.html`.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import urlencode

import orjson

from rostra.history.v1.item_pb2 import Item
from rostra.history.v1.share_pb2 import Share

_STYLE = files(__package__).joinpath("style.css").read_text("utf-8")
_PAGE = Template(files(__package__).joinpath("page.html").read_text("utf-8"))
_UNTITLED = "Shared conversation"
_SPEAKERS = {"user": "User", "assistant": "Assistant"}
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-robots-tag": "noindex, nofollow, noarchive",
    # A copy anywhere would go on showing a share that has ended.
    "cache-control": "no-store",
}
"""The headers of every page, beside those of every response."""


def conversation_page(share: Share, items: Sequence[Item], *, is_first: bool, has_more: bool) -> str:
    """Return the page that shows `items`, with links to the beginning and to what follows, where there is more."""
    messages = "\n".join(_message(orjson.loads(item.body)) for item in items)
    date = _date(share.create_time.ToSeconds())
    return _PAGE.substitute(
        style=_STYLE,
        title=escape(share.title or _UNTITLED),
        about=f"Shared on {date}" if is_first else f"Continued · shared on {date}",
        content=messages or "<p>There is nothing to read here any more.</p>",
        links=_links(share, items[-1].id if has_more else None, is_first=is_first),
        footer="Plain text, as a person and a model wrote it. Shared from Rostra.",
    )


def ended_page() -> str:
    """Return the page for a share that has ended, or never was."""
    return _notice("Nothing is shared here", "The conversation is not shared any more, or the link is not complete.")


def later_page() -> str:
    """Return the page for when the conversation cannot be shown right now."""
    return _notice("This cannot be shown right now", "Please try again in a moment.")


def _notice(title: str, text: str) -> str:
    return _PAGE.substitute(style=_STYLE, title=title, about="", content=f"<p>{text}</p>", links="", footer="Rostra")


def _message(message: dict[str, Any]) -> str:
    role = message["role"]
    parts = "".join(map(_part, message["content"]))
    return f'<article class="{escape(role)}"><h2>{_SPEAKERS[role]}</h2>{parts}</article>'


def _part(part: dict[str, str]) -> str:
    # Its own direction, so that no text can turn what stands around it.
    kind = "refusal" if part["type"] == "refusal" else "text"
    return f'<div class="{kind}" dir="auto">{escape(part[kind])}</div>'


def _links(share: Share, last_id: str | None, *, is_first: bool) -> str:
    # Relative to this page, wherever a proxy puts it.
    here = escape(share.id)
    links = []
    if not is_first:
        links.append(f'<a href="{here}">Back to the beginning</a>')
    if last_id is not None:
        links.append(f'<a rel="next" href="{here}?{escape(urlencode({"after": last_id}))}">Continue reading</a>')
    return f"<nav>{''.join(links)}</nav>" if links else ""


def _date(seconds: int) -> str:
    time = datetime.fromtimestamp(seconds, UTC)
    return f'<time datetime="{time:%Y-%m-%d}">{time.day} {time:%B %Y}</time>'
