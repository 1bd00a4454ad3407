"""The page on which people read a shared conversation."""

import logging
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import httpx
import orjson
import pytest

from rostra.history.v1.item_pb2 import Item
from rostra_kit.errors import AppError, InvalidArgumentError, UnavailableError
from services.gateway.tests.conftest import Services

HOSTILE = [
    "<script>alert(1)</script>",
    "</div></article></main></body><script>alert(1)</script>",
    "</title><script>alert(1)</script><!--",
    "</style><img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href=javascript:alert(1)>here</a>",
    '"onmouseover="alert(1)" x=\'',
    "&lt;script&gt; &amp; &#60; &",
    "$title ${content} $$ $style",
    "%(title)s {title} {{7*7}}",
    "<!-- --><![CDATA[ ]]>",
    "\u202egnirts desrever \u2066 \u2028 \ufeff",
    "nul \x00 and bell \x07",
    "<base href=//evil.example><meta http-equiv=refresh content=0;url=//evil.example>",
]


class Reader(HTMLParser):
    """Reads a page: which elements it has, with which attributes, and the text in each kind of them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data


def said(text: str, *, role: str = "user", number: int = 0) -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    item_id = f"msg_{number}"
    body = {"type": "message", "id": item_id, "role": role, "content": [{"type": kind, "text": text}]}
    return Item(id=item_id, body=orjson.dumps(body))


async def test_page_tells_who_says_what(anyone: httpx.AsyncClient, services: Services) -> None:
    refusal = {"type": "refusal", "refusal": "I will not."}
    body = {"type": "message", "id": "msg_2", "role": "assistant", "content": [refusal]}
    items = [said("Line one\n\n\tLine two"), said("Yes.", role="assistant"), Item(id="m", body=orjson.dumps(body))]
    answer = await anyone.get(f"/share/{services.shares.add(*items, title='A & B')}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Reader(answer.text)
    assert page.texts["title"] == page.texts["h1"] == ["A & B"]
    assert page.texts["h2"] == ["User", "Assistant", "Assistant"]
    assert page.texts["div"] == ["Line one\n\n\tLine two", "Yes.", "I will not."]
    assert "nav" not in page.texts


async def test_page_runs_loads_and_leaks_nothing(anyone: httpx.AsyncClient, services: Services) -> None:
    for path in (services.shares.add(said("Hi")), "share_unknown"):
        answer = await anyone.get(f"/share/{path}")
        page = Reader(answer.text)
        [style] = page.texts["style"]
        digest = b64encode(sha256(style.encode()).digest()).decode()
        policy = answer.headers["content-security-policy"].split("; ")
        assert policy[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
        assert set(policy[2:]) == {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
        assert "noindex" in answer.headers["x-robots-tag"]
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        assert not re.search(r"url\(|@import|https?:|//", answer.text)
        tags = {tag for tag, _ in page.elements}
        assert not tags & {"script", "link", "img", "iframe", "form", "object", "embed", "base", "svg"}
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith(("on", "style"))]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_words_stay_words(anyone: httpx.AsyncClient, services: Services, text: str) -> None:
    plain = Reader((await anyone.get(f"/share/{services.shares.add(said('x'), title='x')}")).text)
    page = Reader((await anyone.get(f"/share/{services.shares.add(said(text), title=text)}")).text)
    assert page.elements == plain.elements
    assert page.texts["div"] == page.texts["h1"] == page.texts["title"] == [text]
    assert page.texts["style"] == plain.texts["style"]


async def test_long_conversation_is_read_in_pages(anyone: httpx.AsyncClient, services: Services) -> None:
    share_id = services.shares.add(*(said(str(number), number=number) for number in range(120)))
    url, read = httpx.URL(f"{anyone.base_url}/share/{share_id}"), []
    while url:
        answer = await anyone.get(url)
        page = Reader(answer.text)
        assert len(page.texts["div"]) <= 50
        read += page.texts["div"]
        links = {attributes.get("rel"): attributes["href"] for tag, attributes in page.elements if tag == "a"}
        assert (None in links) == (len(read) > 50)  # back to the beginning
        if len(read) > 50:
            assert url.join(links[None]).path == f"/share/{share_id}"
        url = url.join(links["next"]) if "next" in links else None
    assert read == [str(number) for number in range(120)]


@pytest.mark.parametrize("path", ["share_unknown", "x" * 200, "a.b", "%00", "%3Cscript%3E", "share_x?after=%00"])
async def test_what_is_not_shared_is_a_page_too(anyone: httpx.AsyncClient, path: str) -> None:
    answer = await anyone.get(f"/share/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert Reader(answer.text).texts["h1"] == ["Nothing is shared here"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidArgumentError("No such element.", param="after"), 404),
        (UnavailableError("The history cannot be reached right now.", retry_after_seconds=1), 503),
        (AppError("secret"), 500),
    ],
    ids=["after", "unavailable", "unforeseen"],
)
async def test_every_error_is_a_page(anyone: httpx.AsyncClient, services: Services, error: AppError, status) -> None:
    services.shares.error = error
    answer = await anyone.get(f"/share/{services.shares.add()}?after=msg_x")
    assert answer.status_code == status
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert (status == 503) == (answer.headers.get("retry-after") == "1")


async def test_share_without_a_word_says_so(anyone: httpx.AsyncClient, services: Services) -> None:
    answer = await anyone.get(f"/share/{services.shares.add()}")
    assert "nothing to read" in answer.text
    assert Reader(answer.text).texts["h1"] == ["Shared conversation"]


async def test_name_of_a_share_is_in_no_log_and_no_metric(
    anyone: httpx.AsyncClient, gateway, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "rostra_gateway")
    share_id = services.shares.add(said("canary"))
    for path in (f"/share/{share_id}", f"/v1/shares/{share_id}/items"):
        assert (await anyone.get(path)).status_code == 200
    records = [str(vars(record)) for record in caplog.records if record.name.startswith("rostra")]
    assert any("/share/{share_id}" in record for record in records)
    labels = [str(sample.labels) for family in gateway.registry.collect() for sample in family.samples]
    assert not [text for text in records + labels if share_id in text or "canary" in text]
