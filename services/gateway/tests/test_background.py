"""Responses that run in the background, as clients see them."""

import asyncio
import json

import httpx
import pytest

from rostra.common.v1.caller_pb2 import Limits
from rostra.history.v1.response_pb2 import ResponseStatus
from services.gateway.tests.conftest import Gateway, Services, StartGateway, bearer, connect
from services.gateway.tests.fake_background import EVENTS, frame

PATH = "/v1/responses"
HEARTBEAT = ": heartbeat\n\n"


def body(model: str = "echo", **more: object) -> dict:
    return {"model": model, "input": "x", "background": True} | more


def frames(start: int = 0, end: int = EVENTS) -> str:
    return b"".join(frame(number) for number in range(start, end)).decode()


async def create(client: httpx.AsyncClient, model: str = "echo") -> str:
    answer = await client.post(PATH, json=body(model))
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def test_background_response_is_answered_while_it_is_queued(
    client: httpx.AsyncClient, services: Services
) -> None:
    answer = await client.post(PATH, json=body())
    assert answer.json()["status"] == "queued"
    (state,) = services.chat.states
    assert (state.background, state.store) == (True, True)


async def test_response_without_the_word_does_not_run_in_the_background(
    client: httpx.AsyncClient, services: Services
) -> None:
    await client.post(PATH, json=body(background=False))
    await client.post(PATH, json={"model": "echo", "input": "x"})
    assert [state.background for state in services.chat.states] == [False, False]


async def test_background_that_is_no_boolean_is_400(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=body(background="yes"))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "background")


@pytest.mark.parametrize("stream", [True, False])
async def test_background_response_that_is_not_stored_is_400(client: httpx.AsyncClient, stream: bool) -> None:
    answer = await client.post(PATH, json=body(store=False, stream=stream))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "store")


async def test_background_stream_has_all_events(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=body(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == frames()


async def test_stream_is_not_queued_while_its_events_cannot_come(
    start_gateway: StartGateway, services: Services, alice: str
) -> None:
    async with connect(await start_gateway(redis={"url": "redis://127.0.0.1:1/0"}), alice) as client:
        answer = await client.post(PATH, json=body(stream=True))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert not services.chat.background.responses
        assert (await client.post(PATH, json=body())).status_code == 200


async def test_response_is_followed_from_every_point(client: httpx.AsyncClient) -> None:
    response = await create(client)
    assert (await client.get(f"{PATH}/{response}?stream=true")).text == frames()
    for number in range(EVENTS):
        answer = await client.get(f"{PATH}/{response}", params={"stream": "true", "starting_after": number})
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text == frames(number + 1)


async def test_include_is_accepted(client: httpx.AsyncClient) -> None:
    response = await create(client)
    for name in ("include", "include[]"):
        answer = await client.get(f"{PATH}/{response}", params={"stream": "true", name: "reasoning.encrypted_content"})
        assert answer.text == frames()


async def test_absent_or_false_stream_polls(client: httpx.AsyncClient, services: Services) -> None:
    (user,) = services.user.users
    response = services.history.add_response(
        user, b'{"object":"response","status":"queued"}', status=ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
    )
    for query in ("", "?stream=false", "?stream=false&include=message.output_text.logprobs"):
        assert (await client.get(f"{PATH}/{response}{query}")).json()["status"] == "in_progress"
    assert services.chat.background.followed == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("starting_after=3", "starting_after"),
        ("stream=false&starting_after=3", "starting_after"),
        ("stream=true&starting_after=-1", "starting_after"),
        ("stream=true&starting_after=x", "starting_after"),
        ("stream=true&starting_after=9223372036854775808", "starting_after"),
        ("stream=perhaps", "stream"),
    ],
)
async def test_wrong_query_is_400_and_named(client: httpx.AsyncClient, query: str, param: str) -> None:
    answer = await client.get(f"{PATH}/{await create(client)}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_events_that_are_not_kept_are_400(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PATH}/{await create(client, 'forgotten')}?stream=true")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (400, "invalid_request_error", "events_not_kept")


@pytest.mark.parametrize("starting_after", ["", "&starting_after=1"])
async def test_broken_stream_ends_with_the_next_number(client: httpx.AsyncClient, starting_after: str) -> None:
    answer = await client.get(f"{PATH}/{await create(client, 'breaks')}?stream=true{starting_after}")
    told = json.loads(answer.text.rstrip("\n").rpartition("data: ")[2])
    assert (told["type"], told["sequence_number"], told["code"]) == ("error", 4, "stream_interrupted")


async def test_stream_that_breaks_before_its_first_event_is_a_status(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PATH}/{await create(client, 'breaks')}?stream=true&starting_after=3")
    assert answer.status_code == 503


async def test_error_after_a_heartbeat_counts_on_from_where_the_client_began(
    start_gateway: StartGateway, alice: str, services: Services
) -> None:
    async with connect(await start_gateway(heartbeat_seconds=0.05), alice) as client:
        response = await create(client, "pauses")
        query = {"stream": "true", "starting_after": 2}
        async with client.stream("GET", f"{PATH}/{response}", params=query) as stream:
            lines = stream.aiter_text()
            assert await anext(lines) == HEARTBEAT
            services.chat.background.responses[response].model = "breaks"
            services.chat.background.responses[response].proceed.set()
            rest = "".join([line async for line in lines]).replace(HEARTBEAT, "")
    events = [json.loads(line.removeprefix("data: ")) for line in rest.splitlines() if line.startswith("data: ")]
    assert [(event["type"], event["sequence_number"]) for event in events] == [("response.x", 3), ("error", 4)]


async def test_client_that_leaves_a_background_stream_ends_the_following_alone(
    client: httpx.AsyncClient, services: Services
) -> None:
    async with client.stream("POST", PATH, json=body("pauses", stream=True)) as stream:
        await anext(stream.aiter_bytes())
    await asyncio.wait_for(services.chat.cancelled.wait(), 2)
    ((response_id, response),) = services.chat.background.responses.items()
    assert response.status == "queued"
    services.chat.proceed.set()
    answer = await client.get(f"{PATH}/{response_id}?stream=true&starting_after=2")
    assert answer.text == frames(3)


async def test_two_gateways_follow_one_response(start_gateway: StartGateway, alice: str) -> None:
    first, second = [connect(await start_gateway(), alice) for _ in range(2)]
    async with first, second:
        response = await create(first)
        texts = await asyncio.gather(*(client.get(f"{PATH}/{response}?stream=true") for client in (first, second)))
    assert [answer.text for answer in texts] == [frames(), frames()]


async def test_response_is_cancelled(client: httpx.AsyncClient) -> None:
    response = await create(client)
    answer = await client.post(f"{PATH}/{response}/cancel")
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (200, response, "cancelled")


@pytest.mark.parametrize(("method", "suffix"), [("GET", "?stream=true"), ("POST", "/cancel")])
async def test_response_of_another_user_is_404(
    client: httpx.AsyncClient, services: Services, method: str, suffix: str
) -> None:
    response = await create(client)
    bob = bearer(services.user.add_key(services.user.add_user("bob@example.com")))
    theirs = await client.request(method, f"{PATH}/{response}{suffix}", headers=bob)
    nobodys = await client.request(method, f"{PATH}/resp_none{suffix}", headers=bob)
    assert (theirs.status_code, theirs.json()["error"]["code"]) == (404, "response_not_found")
    assert theirs.json() == nobodys.json()


async def test_followers_take_a_request_and_a_stream_from_the_limits(gateway: Gateway, services: Services) -> None:
    limits = Limits(requests_per_minute=4, concurrent_streams=1)
    key = services.user.add_key(services.user.add_user(limits=limits))
    async with connect(gateway, key) as client:
        response = await create(client, "pauses")
        path = f"{PATH}/{response}?stream=true"
        async with client.stream("GET", path) as stream:
            pieces = stream.aiter_bytes()  # the client leaves once nothing names it
            await anext(pieces)
            refused = await client.get(path)
            assert (refused.status_code, refused.headers["x-ratelimit-remaining-requests"]) == (429, "1")
            del pieces
        await asyncio.wait_for(services.chat.cancelled.wait(), 10)
        services.chat.proceed.set()
        async with asyncio.timeout(10):
            while gateway.metric("rostra_gateway_open_streams"):  # noqa: ASYNC110 - a metric
                await asyncio.sleep(0.01)
        assert (await client.get(path)).text == frames()
        assert (await client.get(path)).status_code == 429
        assert gateway.metric("rostra_gateway_refusals_total", limit="requests") == 1


@pytest.mark.parametrize("model", ["away", "unknown"])
async def test_stream_that_cannot_be_queued_gives_its_slots_back(
    gateway: Gateway, services: Services, model: str
) -> None:
    key = services.user.add_key(services.user.add_user(limits=Limits(concurrent_streams=1)))
    async with connect(gateway, key) as client:
        for _ in range(2):
            assert (await client.post(PATH, json=body(model, stream=True))).status_code in (404, 503)
        assert (await client.post(PATH, json=body(stream=True))).text == frames()


async def test_end_of_the_last_event_is_an_empty_stream(client: httpx.AsyncClient) -> None:
    response = await create(client)
    answer = await client.get(f"{PATH}/{response}?stream=true&starting_after=100")
    assert (answer.status_code, answer.text) == (200, "")
