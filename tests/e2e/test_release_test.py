"""What `helm test` runs in a cluster says whether the product works: against the whole stack, and against none."""

import subprocess
import sys

import pytest

from rostra_kit.ports import free_port
from support.chart import CHART
from support.stack import Account, SharedStack

pytestmark = pytest.mark.e2e


def run(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script as the chart's pod does: as an argument, with variables and nothing else."""
    command = [sys.executable, "-c", (CHART / "files/api_test.py").read_text()]
    return subprocess.run(
        command, env={"ROSTRA_URL": url, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def test_without_a_key_authentication_is_tried_the_whole_way(stack: SharedStack) -> None:
    done = run(stack.gateway_urls[0])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["ok: the gateway is ready", "ok: a wrong key is refused"]


def test_with_a_key_a_model_answers_streams_and_is_stored(stack: SharedStack, account: Account) -> None:
    done = run(stack.gateway_urls[0], ROSTRA_TEST_API_KEY=account.api_key, ROSTRA_TEST_MODEL="echo")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6


def test_what_is_wrong_is_said(stack: SharedStack, account: Account) -> None:
    done = run(stack.gateway_urls[0], ROSTRA_TEST_API_KEY=account.api_key, ROSTRA_TEST_MODEL="missing")
    assert done.returncode == 1
    assert "the model is offered: expected 200" in done.stderr
    assert run(f"http://127.0.0.1:{free_port()}").returncode == 1
