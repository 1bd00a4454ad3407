"""Administration through the whole stack: who may, what changes where, and what is told afterwards."""

import time
from collections.abc import Iterator

import httpx
import pytest

from support.stack import Account, SharedStack, administrator, register

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def admin(stack: SharedStack) -> Account:
    return administrator(stack)


@pytest.fixture(scope="module")
def root(stack: SharedStack, admin: Account) -> Iterator[httpx.Client]:
    """A client of one gateway, as an administrator."""
    with httpx.Client(base_url=stack.gateway_urls[0], headers=admin.session, timeout=20) as http:
        yield http


@pytest.fixture
def alice(stack: SharedStack) -> Account:
    return register(stack.gateway_urls[0])


@pytest.fixture(scope="module")
def other(stack: SharedStack) -> Iterator[httpx.Client]:
    """A client of the other gateway."""
    with httpx.Client(base_url=stack.gateway_urls[1], timeout=20) as http:
        yield http


def within_a_second(http: httpx.Client, path: str, headers: dict[str, str], status: int) -> httpx.Response:
    """Ask until the answer has the status, for a second."""
    until = time.monotonic() + 1
    while (answer := http.get(path, headers=headers)).status_code != status:
        assert time.monotonic() < until, answer.text
    return answer


def test_everybody_else_is_refused_the_same_way(other: httpx.Client, alice: Account) -> None:
    paths = other.get("/openapi.json").json()["paths"]
    routes = [(method, path) for path, ways in paths.items() if path.startswith("/v1/admin/") for method in ways]
    assert len(routes) >= 8
    answers = [
        other.request(method, path.format(user_id=alice.user_id, plan="default"), json={}, headers=credential)
        for method, path in routes
        for credential in (alice.key, alice.session)
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1


def test_account_is_found_by_its_address(root: httpx.Client, alice: Account) -> None:
    found = root.get("/v1/admin/users", params={"email": alice.email[:12].upper()}).json()["data"]
    assert [user["id"] for user in found] == [alice.user_id]
    assert root.get(f"/v1/admin/users/{alice.user_id}").json() == found[0]
    assert root.get("/v1/admin/users/user_none").status_code == 404


def test_limits_of_a_plan_hold_on_the_other_gateway_within_a_second(
    root: httpx.Client, other: httpx.Client, alice: Account
) -> None:
    plan, mine = "/v1/admin/plans/tight", f"/v1/admin/users/{alice.user_id}"
    assert root.put(plan, json={"limits": {"requests_per_minute": 1000}}).is_success
    for credential in (alice.key, alice.session):
        assert other.get("/v1/models", headers=credential).is_success
    assert root.patch(mine, json={"plan": "tight"}).json()["limits"]["requests_per_minute"] == 1000
    assert root.delete(plan).status_code == 409
    assert root.put(plan, json={"limits": {"requests_per_minute": 3}}).is_success
    refused = within_a_second(other, "/v1/models", alice.key, 429)
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    assert root.patch(mine, json={"plan": "default"}).is_success
    assert root.delete(plan).json() == {"id": "tight", "object": "plan.deleted", "deleted": True}
    assert root.patch(mine, json={"plan": "tight"}).json()["error"]["param"] == "plan"


def test_override_of_limits_holds_on_the_other_gateway_until_its_end(
    root: httpx.Client, other: httpx.Client, alice: Account
) -> None:
    def limit_within_a_second(credential: dict[str, str], limit: str) -> None:
        until = time.monotonic() + 1
        while (told := other.get("/v1/models", headers=credential).headers["x-ratelimit-limit-requests"]) != limit:
            assert time.monotonic() < until, told

    mine = f"/v1/admin/users/{alice.user_id}"
    usual = other.get("/v1/models", headers=alice.key).headers["x-ratelimit-limit-requests"]
    ends_at = int(time.time()) + 5
    override = {"limits": {"requests_per_minute": 5000}, "ends_at": ends_at}
    changed = root.patch(mine, json={"limit_override": override}).json()
    assert (changed["limits"]["requests_per_minute"], changed["limit_override"]["ends_at"]) == (5000, ends_at)
    for credential in (alice.key, alice.session):
        limit_within_a_second(credential, "5000")
    time.sleep(max(0.0, ends_at - time.time()))
    for credential in (alice.key, alice.session):
        limit_within_a_second(credential, usual)
    assert root.get(mine).json()["limit_override"] is None
    assert other.get("/v1/me", headers=alice.key).json()["limits"]["requests_per_minute"] == int(usual)
    override["ends_at"] = ends_at + 3600
    assert root.patch(mine, json={"limit_override": override}).json()["limit_override"]
    limit_within_a_second(alice.key, "5000")
    root.patch(mine, json={"limit_override": None})
    limit_within_a_second(alice.key, usual)
    past = root.patch(mine, json={"limit_override": override | {"ends_at": ends_at}}).json()["error"]
    assert past["param"] == "limit_override.ends_at"


def test_disabled_account_is_out_everywhere_within_a_second(
    root: httpx.Client, other: httpx.Client, alice: Account
) -> None:
    for credential in (alice.key, alice.session):
        assert other.get("/v1/me", headers=credential).is_success
    mine = f"/v1/admin/users/{alice.user_id}"
    assert root.patch(mine, json={"disabled": True}).json()["disabled"]
    for credential in (alice.key, alice.session):
        within_a_second(other, "/v1/me", credential, 401)
    login = {"email": alice.email, "password": alice.password}
    assert other.post("/v1/auth/login", json=login).json()["error"]["code"] == "invalid_credentials"
    assert other.post("/v1/auth/refresh", json={"refresh_token": alice.refresh_token}).status_code == 401
    root.patch(mine, json={"disabled": False})
    assert other.post("/v1/auth/login", json=login).is_success
    within_a_second(other, "/v1/me", alice.key, 200)


def test_former_administrator_is_refused_at_once(
    root: httpx.Client, other: httpx.Client, alice: Account, admin: Account
) -> None:
    path = f"/v1/admin/users/{alice.user_id}"
    root.patch(path, json={"role": "admin"})
    within_a_second(other, "/v1/admin/plans", alice.session, 200)
    assert root.patch(f"/v1/admin/users/{admin.user_id}", json={"role": "user"}).status_code == 409
    root.patch(path, json={"role": "user"})
    # The user service looks anew, whatever a gateway remembers.
    assert other.get("/v1/admin/plans", headers=alice.session).status_code == 403


def test_audit_log_tells_who_did_what_from_where(root: httpx.Client, admin: Account, alice: Account) -> None:
    changed = root.patch(f"/v1/admin/users/{alice.user_id}", json={"role": "admin"})
    events = root.get("/v1/admin/audit_events", params={"user_id": alice.user_id, "limit": 100}).json()["data"]
    told = {event["event"]: event for event in events}
    assert {"registered", "api_key_created", "account_changed"} <= set(told)
    change = told["account_changed"]
    assert (change["actor_id"], change["detail"]) == (admin.user_id, "role: user -> admin")
    assert (change["request_id"], change["address"]) == (changed.headers["x-request-id"], "127.0.0.1")
    assert told["api_key_created"]["target"] == alice.api_key_id
    assert alice.email not in str(events)
    of_kind = root.get("/v1/admin/audit_events", params={"event": "registered", "limit": 1}).json()
    assert [event["event"] for event in of_kind["data"]] == ["registered"]
    assert of_kind["has_more"]


def test_usage_is_summed_over_all_users(root: httpx.Client, stack: SharedStack, alice: Account) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
    for account in (alice, register(stack.gateway_urls[0])):
        assert root.post("/v1/chat/completions", json=body, headers=account.key).is_success
    until = time.monotonic() + 10
    while True:
        hers = root.get("/v1/admin/usage", params={"user_id": alice.user_id}).json()["data"]
        everybodys = root.get("/v1/admin/usage").json()["data"]
        if sum(bucket["requests"] for bucket in hers) == 1 and sum(bucket["requests"] for bucket in everybodys) >= 2:
            break
        assert time.monotonic() < until
