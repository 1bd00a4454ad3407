from collections.abc import AsyncIterator

import httpx
import pytest

from rostra.common.v1.caller_pb2 import Role
from services.gateway.tests.conftest import Gateway, Services, connect

ROUTES = [
    ("GET", "/v1/admin/users"),
    ("GET", "/v1/admin/users/user_1"),
    ("GET", "/v1/admin/users/no%20id"),
    ("PATCH", "/v1/admin/users/user_1"),
    ("GET", "/v1/admin/plans"),
    ("PUT", "/v1/admin/plans/team"),
    ("DELETE", "/v1/admin/plans/team"),
    ("GET", "/v1/admin/audit_events"),
    ("GET", "/v1/admin/audit_events?limit=nonsense"),
    ("GET", "/v1/admin/usage"),
]


@pytest.fixture
async def admin(gateway: Gateway, services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an administrator's API key."""
    async with connect(gateway, services.admin.add_admin()) as client:
        yield client


def test_routes_are_all_of_them(gateway: Gateway) -> None:
    document = gateway.app.openapi()
    paths = {(method.upper(), path) for path, ways in document["paths"].items() for method in ways}
    known = {(method, path.partition("?")[0]) for method, path in ROUTES if "%" not in path}
    administrative = {
        (method, path.replace("{user_id}", "user_1").replace("{plan}", "team"))
        for method, path in paths
        if path.startswith("/v1/admin")
    }
    assert administrative == known


async def test_everybody_else_is_refused_the_same_way(client: httpx.AsyncClient, services: Services) -> None:
    answers = [await client.request(method, path, content=b"{nonsense") for method, path in ROUTES]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["error"]["code"] == "permission_denied"
    assert not services.admin.asked


async def test_without_a_credential_every_route_asks_for_one(anyone: httpx.AsyncClient) -> None:
    assert {(await anyone.request(method, path)).status_code for method, path in ROUTES} == {401}


async def test_accounts_are_found_by_the_beginning_of_their_address(
    admin: httpx.AsyncClient, services: Services
) -> None:
    services.user.add_user("alice@example.com")
    page = (await admin.get("/v1/admin/users", params={"email": "ali", "limit": 5})).json()
    assert [(user["email"], user["disabled"]) for user in page["data"]] == [("alice@example.com", False)]
    assert services.admin.asked[-1].page.page_size == 5
    assert services.admin.addresses == {"127.0.0.1"}


async def test_change_of_an_account_is_handed_on_and_nothing_else(admin: httpx.AsyncClient, services: Services) -> None:
    user_id = services.user.add_user("alice@example.com")
    path = f"/v1/admin/users/{user_id}"
    changed = await admin.patch(path, json={"role": "admin", "plan": "team", "disabled": True})
    assert (changed.json()["role"], changed.json()["plan"], changed.json()["disabled"]) == ("admin", "team", True)
    await admin.patch(path, json={"plan": "default"})
    asked = services.admin.asked[-1]
    assert (asked.role, asked.plan, asked.HasField("disabled")) == (Role.ROLE_UNSPECIFIED, "default", False)
    assert (await admin.get(path)).json()["role"] == "admin"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"limit_override": {"limits": {}}}, "limit_override.ends_at"),
        (
            {"limit_override": {"limits": {"requests_per_minute": 0.5}, "ends_at": 9}},
            "limit_override.limits.requests_per_minute",
        ),
        ({"role": "king"}, "role"),
        ({"plan": "a b"}, "plan"),
        ({"disabled": "yes"}, "disabled"),
        ({"x": 1}, "x"),
    ],
)
async def test_wrong_change_names_the_field(admin: httpx.AsyncClient, body: dict, param: str) -> None:
    refused = await admin.patch("/v1/admin/users/user_1", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_plan_is_put_read_and_deleted(admin: httpx.AsyncClient, services: Services) -> None:
    limits = {"requests_per_minute": 5, "budget_per_month": 2.5}
    put = (await admin.put("/v1/admin/plans/team", json={"limits": limits})).json()
    assert put["id"] == "team"
    assert put["limits"] == {"tokens_per_minute": None, "concurrent_streams": None, **limits}
    assert services.admin.plans["team"].limits.budget_micros_per_month == 2_500_000
    assert [plan["id"] for plan in (await admin.get("/v1/admin/plans")).json()["data"]] == ["default", "team"]
    assert (await admin.delete("/v1/admin/plans/team")).json()["deleted"]
    assert (await admin.delete("/v1/admin/plans/team")).json()["error"]["code"] == "plan_not_found"


@pytest.mark.parametrize("budget", [0, -1, "1", 1e10])
async def test_impossible_budget_is_refused(admin: httpx.AsyncClient, budget: object) -> None:
    refused = await admin.put("/v1/admin/plans/team", json={"limits": {"budget_per_month": budget}})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "limits.budget_per_month")


async def test_audit_events_are_filtered(admin: httpx.AsyncClient, services: Services) -> None:
    query = {"user_id": "user_1", "event": "login_failed", "start_time": 5, "end_time": 9, "after": "audit_9"}
    page = (await admin.get("/v1/admin/audit_events", params=query)).json()
    asked = services.admin.asked[-1]
    assert (asked.user_id, asked.event, asked.page.after_id) == ("user_1", "login_failed", "audit_9")
    assert (asked.start_time.seconds, asked.end_time.seconds) == (5, 9)
    assert page["has_more"]
    assert page["data"][0] | {"email_sha256": "01" * 32, "user_id": None} == page["data"][0]


async def test_usage_over_all_users_is_bounded(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/v1/admin/usage")).json()["data"][0]["cost"] == 0.0015
    for query in ({"start_time": 0, "end_time": 367 * 86_400}, {"start_time": 9, "end_time": 5}):
        refused = await admin.get("/v1/admin/usage", params=query)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "start_time")


async def test_override_of_limits_is_handed_on_kept_and_ended(admin: httpx.AsyncClient, services: Services) -> None:
    path = f"/v1/admin/users/{services.user.add_user('alice@example.com')}"
    assert (await admin.get(path)).json()["limit_override"] is None
    override = {"limits": {"budget_per_month": 2.5}, "ends_at": 4_000_000_000}
    changed = (await admin.patch(path, json={"limit_override": override})).json()["limit_override"]
    assert (changed["ends_at"], changed["limits"]["budget_per_month"]) == (4_000_000_000, 2.5)
    assert changed["limits"]["requests_per_minute"] is None
    assert services.admin.asked[-1].limit_override.limits.budget_micros_per_month == 2_500_000
    await admin.patch(path, json={"role": "user"})
    asked = services.admin.asked[-1]
    assert (asked.HasField("limit_override"), asked.end_limit_override) == (False, False)
    assert (await admin.patch(path, json={"limit_override": None})).json()["limit_override"] is None
    assert services.admin.asked[-1].end_limit_override
