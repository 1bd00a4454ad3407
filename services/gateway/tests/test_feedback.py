"""Feedback on items."""

import httpx
import pytest

ITEM = {"role": "user", "content": "Hello."}


@pytest.fixture
async def path(client: httpx.AsyncClient) -> str:
    """Where the feedback on an item of Alice's is."""
    conversation = (await client.post("/v1/conversations", json={"items": [ITEM]})).json()
    items = f"/v1/conversations/{conversation['id']}/items"
    return f"{items}/{(await client.get(items)).json()['first_id']}/feedback"


async def test_feedback_goes_through_its_life(client: httpx.AsyncClient, path: str) -> None:
    item_id = path.split("/")[-2]
    assert (await client.get(path)).json()["error"]["code"] == "feedback_not_found"
    given = (await client.post(path, json={"rating": "positive", "comment": "Just so. 🚢"})).json()
    assert given.pop("updated_at") > 1_700_000_000
    expected = {"object": "item.feedback", "item_id": item_id, "rating": "positive", "comment": "Just so. 🚢"}
    assert given == expected
    changed = (await client.post(path, json={"rating": "negative"})).json()
    assert (changed["rating"], changed["comment"]) == ("negative", None)
    assert (await client.get(path)).json() == changed
    deleted = (await client.delete(path)).json()
    assert deleted == {"object": "item.feedback.deleted", "item_id": item_id, "deleted": True}
    assert (await client.delete(path)).status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "rating"),
        ({"rating": None}, "rating"),
        ({"rating": "good"}, "rating"),
        ({"rating": 1}, "rating"),
        ({"rating": "positive", "comment": 1}, "comment"),
        ({"rating": "positive", "comment": "x" * 2_001}, "comment"),
        ({"rating": "positive", "stars": 5}, "stars"),
    ],
)
async def test_impossible_feedback_names_its_parameter(
    client: httpx.AsyncClient, path: str, body: dict, param: str
) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_longest_comment_is_taken(client: httpx.AsyncClient, path: str) -> None:
    body = {"rating": "positive", "comment": "🚢" * 2_000}
    assert (await client.post(path, json=body)).json()["comment"] == body["comment"]


async def test_large_body_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json={"rating": "positive", "comment": "x" * 70_000})
    assert answer.status_code == 413


async def test_feedback_on_an_unknown_item_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    for wrong in (path.replace("msg_", "msg_x"), path.replace("conv_", "conv_x")):
        for method in ("POST", "GET", "DELETE"):
            answer = await client.request(method, wrong, json={"rating": "positive"} if method == "POST" else None)
            assert answer.status_code == 404
