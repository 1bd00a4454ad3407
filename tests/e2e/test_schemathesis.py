"""Requests made from the OpenAPI document, right ones and wrong ones: the document holds, and nothing breaks.

ROSTRA_TEST_FULL=1 makes more of them.
"""

import os
from collections import Counter
from typing import Any, TypeAlias, cast
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import CheckFunction, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from support.stack import SharedStack, administrator, register

Operation: TypeAlias = APIOperation[Any, Any, Any, Any]
Case: TypeAlias = schemathesis.Case[Any]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]

_EXAMPLES = 100 if os.environ.get("ROSTRA_TEST_FULL") == "1" else 3
_MOST_REQUESTS = 250
# Without "positive_data_acceptance": the right form of a request does not make a model or a password exist.
_CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "negative_data_rejection", "ignored_auth", "unsupported_method"),
)
_ITEM = {"role": "user", "content": "Hi"}
_EXPORT = {
    "object": "conversation.export",
    "version": 1,
    "conversation": {"title": "Rome"},
    "items": [{"id": "a", "item": _ITEM}],
}
# Unknown parameters of a query are passed over, as OpenAI does.
_GENERATION = {"generation": {"allow-extra-parameters": False}}
# A right form alone does not let anybody in, nor does it make a response one that can be cancelled.
_NEVER_SUCCEED = {"POST /v1/auth/login", "POST /v1/auth/refresh", "POST /v1/responses/{response_id}/cancel"}


class Newcomer:
    """An account that does not live long: what is tested may delete it, and it may ask so often only."""

    def __init__(self, base_url: str) -> None:
        account = register(base_url)
        self.headers = {"Authorization": f"Bearer {account.access_token}"}
        self.requests = 0
        with httpx.Client(base_url=base_url, headers=self.headers, timeout=10) as http:
            conversation = http.post("/v1/conversations", json={"items": [_ITEM]}).json()
            items = http.get(f"/v1/conversations/{conversation['id']}/items").json()
            response = http.post("/v1/responses", json={"model": "echo", "input": "Hi"}).json()
            item = f"/v1/conversations/{conversation['id']}/items/{items['data'][0]['id']}"
            http.post(f"{item}/feedback", json={"rating": "positive"})
            share = http.post(f"/v1/conversations/{conversation['id']}/shares").json()
            chat = {"model": "echo", "messages": [_ITEM], "store": True}
            completion = http.post("/v1/chat/completions", json=chat).json()
        self.ids = {
            "conversation_id": conversation["id"],
            "item_id": items["data"][0]["id"],
            "response_id": response["id"],
            "completion_id": completion["id"],
            "api_key_id": account.api_key_id,
            "share_id": share["id"],
            "model": "echo",
            "user_id": account.user_id,
            "plan": "default",
        }


class Examination:
    """Sends what an operation allows, or forbids, and collects what is wrong with the answers."""

    def __init__(self, stack: SharedStack, mode: GenerationMode) -> None:
        base_url = stack.gateway_urls[0]
        load_all_checks()
        self.problems: dict[str, str] = {}
        self.answers: dict[str, Counter[int]] = {}
        self._base_url = base_url
        self._administrator = administrator(stack)
        self._mode = mode
        self._checks = cast(list[CheckFunction], CHECKS.get_by_names(_CHECKS))
        self._newcomer = Newcomer(base_url)

    def examine(self, operation: Operation) -> None:
        """Make requests for one operation."""
        statuses = self.answers[operation.label] = Counter()
        self._newcomer = Newcomer(self._base_url)

        @given(case=operation.as_strategy(generation_mode=self._mode))
        @settings(
            max_examples=_EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        def send(case: Case) -> None:
            status = self._send(case, realistic=self._mode.is_positive and statuses.total() % 2 == 0)
            statuses[status] += 1

        try:
            send()
        except Unsatisfiable:
            assert self._mode.is_negative, "there is nothing that one may send"

    def _send(self, case: Case, *, realistic: bool) -> int:
        if self._newcomer.requests >= _MOST_REQUESTS or case.operation.label == "DELETE /v1/me":
            self._newcomer = Newcomer(self._base_url)
        self._newcomer.requests += 1
        if realistic:
            _put_in(case, self._newcomer.ids)
        is_administration = case.operation.path.startswith("/v1/admin/")
        headers = self._administrator.session if is_administration else self._newcomer.headers
        response = case.call(base_url=self._base_url, headers=headers, timeout=10)
        try:
            case.validate_response(response, checks=self._checks, headers=headers)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                self.problems[f"{case.operation.label}: {type(failure).__name__}"] = f"{failures}"
        return response.status_code


def _put_in(case: Case, ids: dict[str, str]) -> None:
    """Ask for what exists, so that answers of success are looked at as well."""
    for name in case.path_parameters or ():
        case.path_parameters[name] = ids[name]
    if case.operation.label == "POST /v1/conversations/import":
        case.body = _EXPORT
    elif case.operation.label == "PUT /v1/admin/plans/{plan}":
        # Not the plan of everybody.
        case.path_parameters["plan"] = "examined"
    elif case.operation.label == "DELETE /v1/admin/plans/{plan}":
        case.path_parameters["plan"] = "examined"
    elif isinstance(case.body, dict):
        fitting: dict[str, Any] = {
            "model": ids["model"],
            "items": [_ITEM],
            "previous_response_id": ids["response_id"],
            "conversation": None,
            "background": False,
            "email": f"{uuid4().hex}@example.com",
            "password": "long enough",
            "expires_at": None,
            "plan": ids["plan"],
        }
        case.body.update({name: value for name, value in fitting.items() if name in case.body})
        if "model" in case.body:
            case.body["input"] = "Hi"


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_operation_keeps_to_the_document(stack: SharedStack, mode: GenerationMode) -> None:
    config = schemathesis.Config.from_dict(_GENERATION)
    document = schemathesis.openapi.from_url(f"{stack.gateway_urls[0]}/openapi.json", config=config)
    examination = Examination(stack, mode)
    for found in document.get_all_operations():
        assert isinstance(found, Ok), found
        examination.examine(found.ok())
    assert not examination.problems, "\n\n".join(f"{name}\n{text}" for name, text in examination.problems.items())
    assert len(examination.answers) >= 39
    for label, statuses in examination.answers.items():
        if mode.is_positive and label not in _NEVER_SUCCEED:
            assert any(200 <= status < 300 for status in statuses), f"{label}: {dict(statuses)}"
