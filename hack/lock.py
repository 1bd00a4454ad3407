"""Write requirements.lock and requirements-dev.lock from the dependencies that each package declares.

`services/<service>/requirements.lock` is the part of requirements.lock that an image needs.

Needs `uv` on PATH (or UV=/path/to/uv). The locks hold hashes for every platform and name no package index.
"""

import os
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = os.environ.get("UV", "uv")
BUILD_REQUIREMENTS = ["setuptools>=80"]
IMAGES = ("gateway", "chat", "history", "user")
# What images have beside the product in development.
DEVELOPMENT_TOOLS = ["debugpy", "watchfiles"]


def declared_dependencies(*packages: str) -> list[str]:
    """Return the third-party requirements of packages, of all by default; Rostra's own are installed from the tree."""
    requirements = set(BUILD_REQUIREMENTS)
    own = [ROOT / f"services/{package}/pyproject.toml" for package in packages] or ROOT.glob(
        "services/*/pyproject.toml"
    )
    for project in [ROOT / "protos/pyproject.toml", *own]:
        requirements.update(tomllib.loads(project.read_text())["project"]["dependencies"])
    return sorted(line for line in requirements if not line.startswith("rostra-"))


def compile_lock(requirements: str, lock: str) -> None:
    """Resolve `requirements` (one per line) for every platform from Python 3.11 on into `lock`."""
    command = [UV, "pip", "compile", "-", "--universal", "--python-version=3.11", "--generate-hashes"]
    command += ["--allow-unsafe", "--no-header", "--no-annotate", "--quiet", f"--output-file={lock}"]
    subprocess.run(command, input=requirements, text=True, check=True, cwd=ROOT)


if __name__ == "__main__":
    compile_lock("\n".join(declared_dependencies()), "requirements.lock")
    compile_lock((ROOT / "requirements-dev.in").read_text(), "requirements-dev.lock")
    for image in IMAGES:
        needed = ["-c requirements.lock", *declared_dependencies("kit", image)]
        compile_lock("\n".join(needed), f"services/{image}/requirements.lock")
    compile_lock("\n".join(["-c requirements.lock", *DEVELOPMENT_TOOLS]), "services/requirements-dev.lock")
