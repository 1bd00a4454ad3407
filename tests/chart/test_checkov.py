"""Checkov finds nothing in the chart but what is decided otherwise, each with its reason."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from support.chart import render_scenario

# What checkov asks for and Rostra does otherwise.
_DECIDED = {
    "CKV_K8S_11": "a CPU limit would pause streams in the middle",
    "CKV_K8S_35": "services read secrets from variables; the only files are signing keys",
    "CKV_K8S_43": "releases may pin images by digest; the default is the chart's version",
    "CKV_K8S_15": "images of a version never change, so nodes need not ask each time",
    "CKV_K8S_8": "a Job and a test pod end by themselves",
    "CKV_K8S_9": "a Job and a test pod end by themselves",
}
_TIMEOUT_SECONDS = 110


def program() -> Path:
    """Return checkov, as hack/install-checkov leaves it."""
    return Path(os.environ.get("ROSTRA_SERVERS") or "~/.cache/rostra/servers").expanduser() / "checkov/bin/checkov"


@pytest.mark.skipif(not program().exists(), reason="checkov is not installed: hack/install-checkov")
def test_checkov_finds_only_what_is_decided(tmp_path: Path) -> None:
    for scenario in ("least", "environment-prod"):
        (tmp_path / f"{scenario}.yaml").write_text(yaml.safe_dump_all(render_scenario(scenario)))
    command = [program(), "--directory", tmp_path, "--framework", "kubernetes", "--output", "json", "--quiet"]
    command += ["--skip-download", "--compact", "--soft-fail", "--skip-check", ",".join(_DECIDED)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_SECONDS)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 500
    failed = {(each["check_id"], each["check_name"], each["resource"]) for each in report["results"]["failed_checks"]}
    assert failed == set()
