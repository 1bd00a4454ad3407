"""Tells Prometheus where the processes of a stack have their metrics."""

import json
from collections.abc import Sequence

from rostra_kit.ports import LOOPBACK
from rostra_stack.plan import ProcessPlan

TARGETS_FILE = "prometheus-targets.json"
# What Kubernetes calls these things; rules and dashboards know replicas by such labels.
_NAMESPACE = "local"


def prometheus_targets(plans: Sequence[ProcessPlan]) -> str:
    """Return a file for Prometheus' `file_sd_configs`, with the labels that replicas have on Kubernetes."""
    targets = [
        {
            "targets": [f"{LOOPBACK}:{plan.metrics_port}"],
            "labels": {"namespace": _NAMESPACE, "job": plan.service, "pod": plan.name},
        }
        for plan in plans
        if plan.metrics_port
    ]
    return json.dumps(targets, indent=1) + "\n"
