"""Records what a stack tells of itself, and evaluates the chart's rules over it in compressed time.

A reading each half second counts as one each half minute: twenty seconds of trouble are twenty minutes of it. Ratios,
counts and quantiles are as they were; figures per second are sixty times smaller.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rostra_observability.paths import CHART_RULES
from rostra_stack.stack import Stack
from rostra_stack.targets import TARGETS_FILE
from support.promtool import check
from support.queries import alert_and_record_queries, runbook_queries

_READ_EVERY_SECONDS = 0.5
_COUNTS_AS_SECONDS = 30
_MISSED = "_"


class Recording:
    """The readings of one stack.

    Attributes:
        readings: How many there are.
    """

    def __init__(self, stack: Stack) -> None:
        targets = json.loads((stack.data / TARGETS_FILE).read_text())
        self._targets = [(target["targets"][0], target["labels"]) for target in targets]
        self._names = {name for query in [*alert_and_record_queries(), *runbook_queries()] for name in query.series}
        self._values: dict[str, dict[int, str]] = defaultdict(dict)
        self._of_target: dict[str, set[str]] = defaultdict(set)
        self.readings = 0

    @property
    def now(self) -> str:
        """Return the time of the last reading, from the first one."""
        return f"{(self.readings - 1) * _COUNTS_AS_SECONDS}s"

    async def read(self, *, times: int) -> None:
        """Read all targets some times."""
        async with httpx.AsyncClient(timeout=5) as http:
            for _ in range(times):
                pause = asyncio.create_task(asyncio.sleep(_READ_EVERY_SECONDS))
                await asyncio.gather(*(self._read(http, address, labels) for address, labels in self._targets))
                self.readings += 1
                await pause

    async def _read(self, http: httpx.AsyncClient, address: str, labels: Mapping[str, str]) -> None:
        try:
            text = (await http.get(f"http://{address}/metrics")).text
        except httpx.TransportError:
            # As Prometheus does: what a target that is silent told before is no more.
            self._note(address, "up", labels, "0")
            for series in self._of_target.pop(address, set()):
                self._values[series][self.readings] = "stale"
            return
        self._note(address, "up", labels, "1")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in self._names:
                    self._note(address, sample.name, labels | sample.labels, f"{sample.value:.6f}")
                    self._of_target[address].add(_series(sample.name, labels | sample.labels))

    def _note(self, address: str, name: str, labels: Mapping[str, str], value: str) -> None:
        self._values[_series(name, labels)][self.readings] = value

    def input_series(self) -> list[dict[str, str]]:
        """Return the readings as promtool's series."""
        return [
            {"series": series, "values": " ".join(values.get(n, _MISSED) for n in range(self.readings))}
            for series, values in self._values.items()
        ]


def assert_finds(recording: Recording, folder: Path, expected: Mapping[str, Iterable[Mapping[str, str]]]) -> None:
    """Evaluate rules and queries over a recording; each query must find, at its end, exactly series of these labels."""
    tests: list[dict[str, Any]] = [
        {
            "expr": query,
            "eval_time": recording.now,
            "exp_samples": [{"labels": _series("", labels), "value": 1} for labels in found],
        }
        for query, found in expected.items()
    ]
    content = {
        "rule_files": [str(path) for path in sorted(CHART_RULES.glob("*.yaml"))],
        "evaluation_interval": f"{_COUNTS_AS_SECONDS}s",
        "tests": [
            {
                "interval": f"{_COUNTS_AS_SECONDS}s",
                "input_series": recording.input_series(),
                "promql_expr_test": tests,
            }
        ],
    }
    file = folder / "recording.yaml"
    file.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper))
    check("test", "rules", file)


def _series(name: str, labels: Mapping[str, str]) -> str:
    inside = ", ".join(f"{key}={json.dumps(value)}" for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}"
