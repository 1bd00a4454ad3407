"""Prometheus is told of every replica under the names that it has on Kubernetes."""

import json
from pathlib import Path

from rostra_stack.config import StackConfig
from rostra_stack.plan import plan_stack
from rostra_stack.targets import prometheus_targets


def test_each_replica_has_a_port_of_its_own(tmp_path: Path) -> None:
    plans = plan_stack(StackConfig(data=tmp_path, port=0, gateways=2, chats=3))
    targets = json.loads(prometheus_targets(plans))
    assert [target["labels"]["pod"] for target in targets] == [
        *("user", "history", "chat-1", "chat-2", "chat-3", "gateway-1", "gateway-2"),
    ]
    assert [target["labels"]["job"] for target in targets][2:] == ["chat"] * 3 + ["gateway"] * 2
    assert len({target["targets"][0] for target in targets}) == 7


def test_a_port_that_is_given_is_used(tmp_path: Path) -> None:
    config = StackConfig(data=tmp_path, port=0, environment={"ROSTRA_USER_LISTEN__METRICS_PORT": "9191"})
    user = next(plan for plan in plan_stack(config) if plan.name == "user")
    assert user.metrics_port == 9191
    assert user.environment["ROSTRA_USER_LISTEN__METRICS_PORT"] == "9191"
