"""OpenAI's official Node SDK goes the main way against the stack: `node/journey.mjs`."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.provider_reply import GREETING
from support.stack import Account, Journal, SharedStack, create_key

pytestmark = pytest.mark.e2e

_SOURCE = Path(__file__).parent / "node"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rostra" / "node"
_INSTALL_SECONDS = 90
_JOURNEY_SECONDS = 60


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Return the folder with the SDK, installed once per lock file; skip where that cannot be."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node or npm is absent: OpenAI's Node SDK is not tested")
    lock = (_SOURCE / "package-lock.json").read_bytes()
    installed = _CACHE / hashlib.sha256(lock).hexdigest()[:16]
    if not installed.exists():
        _install(npm, installed)
    return installed / "node_modules"


def _install(npm: str, target: Path) -> None:
    """Install beside `target` and move it there when it is whole."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(_SOURCE / name, folder)
        try:
            subprocess.run([npm, "ci"], cwd=folder, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            said = (error.stderr or b"").decode(errors="replace")
            pytest.skip(f"npm cannot install OpenAI's Node SDK, which is not tested: {said[-500:]}")
        made = Path(folder) / "whole"
        made.mkdir()
        shutil.move(Path(folder) / "node_modules", made)
        made.rename(target)


@pytest.mark.timeout(_INSTALL_SECONDS + _JOURNEY_SECONDS + 60)
def test_node_sdk_goes_the_main_way(
    stack: SharedStack, account: Account, journal: Journal, node_modules: Path, tmp_path: Path
) -> None:
    # Where modules are looked for is decided by where the importing file lies.
    shutil.copy(_SOURCE / "journey.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(node_modules, target_is_directory=True)
    environment = os.environ | {
        "ROSTRA_URL": f"{stack.gateway_urls[0]}/v1",
        "ROSTRA_API_KEY": account.api_key,
        "ROSTRA_LIMITED_API_KEY": create_key(stack.gateway_urls[0], account, requests_per_minute=1),
        "ROSTRA_EMAIL": account.email,
    }
    journey = subprocess.run(
        ["node", "--test", "--test-reporter=tap", "journey.mjs"],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=_JOURNEY_SECONDS,
    )
    assert journey.returncode == 0, journey.stdout + journey.stderr
    assert re.search(r"^# fail 0$", journey.stdout, re.MULTILINE)
    assert int(re.findall(r"^# pass (\d+)$", journey.stdout, re.MULTILINE)[0]) >= 28
    for way in ("by response", "in conversation"):
        assert heard_with(journal.bodies, f"three {way}") == [
            f"one {way}",
            GREETING,
            f"two {way}",
            GREETING,
            f"three {way}",
        ]


def heard_with(bodies: Iterable[dict[str, list[dict[str, str]]]], last: str) -> list[str]:
    """Return the texts of the request to the provider that ended with `last`."""
    requests = [[message["content"] for message in body["messages"]] for body in bodies]
    return next(request for request in requests if request[-1] == last)
