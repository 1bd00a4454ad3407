"""The example for Fluent Bit fits what Rostra logs, and what its page says."""

import re
from pathlib import Path
from typing import Any

import yaml

from support.telemetry_document import documented_lines

_FOLDER = Path(__file__).parents[2] / "observability" / "fluent-bit"
_TEXT = (_FOLDER / "fluent-bit.yaml").read_text()
_CONFIG: dict[str, Any] = yaml.safe_load(_TEXT)
_README = (_FOLDER / "README.md").read_text()


def test_every_filter_and_output_takes_what_is_read() -> None:
    pipeline = _CONFIG["pipeline"]
    (source,) = pipeline["inputs"]
    for step in (*pipeline["filters"], *pipeline["outputs"]):
        assert step["match"] == source["tag"], step["name"]
    (kubernetes,) = [step for step in pipeline["filters"] if step["name"] == "kubernetes"]
    # The file's path is the tag's rest; the filter finds the pod's name behind the prefix.
    assert kubernetes["kube_tag_prefix"] == source["tag"].removesuffix("*") + "var.log.containers."


def test_outputs_give_up_and_buffers_are_bounded() -> None:
    assert all(step["retry_limit"] for step in _CONFIG["pipeline"]["outputs"])
    assert _CONFIG["pipeline"]["inputs"][0]["mem_buf_limit"]
    assert _CONFIG["pipeline"]["outputs"][0]["log_retention_days"]


def test_page_names_every_variable_and_only_fields_that_are_logged() -> None:
    wanted = set(re.findall(r"\$\{([A-Z_]+)\}", _TEXT)) - {"HOSTNAME"}
    assert wanted == set(re.findall(r"^\| `([A-Z_]+)`", _README, re.MULTILINE))
    (query,) = re.findall(r"^fields (.*)$", _README, re.MULTILINE)
    _, fields = documented_lines()["request"]
    assert set(query.split(", ")) - {"@timestamp", "request_id"} <= fields
