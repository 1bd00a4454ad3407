"""Searching one's conversations, through the whole stack."""

import httpx
import pytest

from support.openai_error import refusal
from support.stack import SharedStack, register

pytestmark = pytest.mark.e2e

CONVERSATIONS = "/v1/conversations"


@pytest.fixture
def gateways(stack: SharedStack):
    """Return somebody new, as a client of each gateway."""
    account = register(stack.gateway_urls[0])
    one, two = (httpx.Client(base_url=url, headers=account.key, timeout=20) for url in stack.gateway_urls)
    with one, two:
        yield one, two


def create(http: httpx.Client, *texts: str) -> str:
    items = [{"role": "user", "content": text} for text in texts]
    answer = http.post(CONVERSATIONS, json={"items": items})
    assert answer.status_code == 200, answer.text
    name: str = answer.json()["id"]
    return name


def find(http: httpx.Client, query: str, **params: str | int) -> list[dict]:
    answer = http.get(f"{CONVERSATIONS}/search", params={"query": query, **params})
    assert answer.status_code == 200, answer.text
    matches: list[dict] = answer.json()["data"]
    return matches


def test_what_was_just_said_is_found_through_the_other_gateway(gateways) -> None:
    one, two = gateways
    for number in range(10):
        name = create(one, f"The prows of ship{number}.")
        [match] = find(two, f"SHIP{number} prows")
        assert match["conversation"]["id"] == name
        assert match["snippet"] == f"The prows of ship{number}."
        item = two.get(f"{CONVERSATIONS}/{name}/items/{match['item_id']}").json()
        assert item["id"] == match["id"]


def test_answer_is_found_and_its_text_is_not_markup(gateways) -> None:
    one, two = gateways
    name = create(one)
    body = {"model": "echo", "input": "<i>obelisk</i>", "conversation": name}
    answer = one.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    [match] = find(two, "obelisk")
    assert match["conversation"]["id"] == name
    assert "obelisk" in match["snippet"]
    roles = {item["id"]: item["role"] for item in two.get(f"{CONVERSATIONS}/{name}/items").json()["data"]}
    said = answer.json()["output"][0]["content"][0]["text"]
    assert roles[match["id"]] == ("assistant" if "obelisk" in said else "user")


def test_somebody_else_finds_nothing(stack: SharedStack, gateways) -> None:
    create(gateways[0], "a secret amphora")
    other = register(stack.gateway_urls[1])
    with httpx.Client(base_url=stack.gateway_urls[1], headers=other.key) as http:
        assert find(http, "amphora") == []


def test_title_is_found_as_it_is_now(gateways) -> None:
    one, two = gateways
    name = create(one, "something")
    one.post(f"{CONVERSATIONS}/{name}", json={"title": "Aqueducts"})
    one.post(f"{CONVERSATIONS}/{name}", json={"title": "Roads"})
    assert find(two, "aqueducts") == []
    [match] = find(two, "roads")
    assert (match["id"], match["item_id"], match["snippet"]) == (name, None, "Roads")


def test_deleted_item_and_conversation_are_not_found(gateways) -> None:
    one, two = gateways
    name, other = create(one, "a forum"), create(one, "a forum")
    one.post(f"{CONVERSATIONS}/{name}", json={"title": "Another title"})
    [item] = one.get(f"{CONVERSATIONS}/{name}/items").json()["data"]
    assert one.delete(f"{CONVERSATIONS}/{name}/items/{item['id']}").status_code == 200
    assert [match["conversation"]["id"] for match in find(two, "forum")] == [other]
    assert one.delete(f"{CONVERSATIONS}/{other}").status_code == 200
    assert find(two, "forum") == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Die Straße der Größe", "GROSSE strasse"),
        ("\u6771\u4eac\u90fd\u306b\u884c\u304f", "\u6771\u4eac\u90fd"),
        ("Zoe\u0308", "zo\u00eb"),
        ("\u041c\u0438\u0440\u0443 \u2014 \u043c\u0438\u0440", "\u043c\u0438\u0440"),
        ("nul \x00 and \U0001f600 here", "here nul"),
    ],
)
def test_words_of_any_script_are_found(gateways, text: str, query: str) -> None:
    name = create(gateways[0], text)
    assert [match["conversation"]["id"] for match in find(gateways[1], query)] == [name]


def test_pages_through_two_gateways_show_each_conversation_once(gateways) -> None:
    created = [create(gateways[0], "a column", "another column") for _ in range(5)]
    seen: list[str] = []
    after = ""
    for turn in range(3):
        matches = find(gateways[turn % 2], "column", limit=2, after=after)
        seen += [match["conversation"]["id"] for match in matches]
        after = matches[-1]["id"]
    assert seen == created[::-1]


def test_senseless_search_names_its_parameter(gateways) -> None:
    for query in ("", "?!", "a" * 257, " ".join(map(str, range(33)))):
        answer = gateways[0].get(f"{CONVERSATIONS}/search", params={"query": query})
        assert refusal(answer, 400)["param"] == "query"
    answer = gateways[0].get(f"{CONVERSATIONS}/search", params={"query": "a", "after": "msg_unknown"})
    assert refusal(answer, 400)["param"] == "after"
