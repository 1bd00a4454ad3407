"""The images' recipe: locked, without root, and each with its own service's dependencies only."""

import re
import tomllib

import pytest

from support.chart import COMPONENTS, ROOT

_DOCKERFILE = (ROOT / "services/Dockerfile").read_text()


def locked(path: str) -> dict[str, str]:
    """Return the versions in a lock by package."""
    found = re.findall(r"^([\w.-]+)==([^ ;]+)", (ROOT / path).read_text(), re.MULTILINE)
    return {name.lower(): version for name, version in found}


@pytest.mark.parametrize("component", COMPONENTS)
def test_lock_of_an_image_is_a_part_of_the_products(component: str) -> None:
    whole, own = locked("requirements.lock"), locked(f"services/{component}/requirements.lock")
    assert own.items() <= whole.items()
    for package in ("protos", "services/kit", f"services/{component}"):
        project = tomllib.loads((ROOT / package / "pyproject.toml").read_text())["project"]
        for dependency in project["dependencies"]:
            name = re.match(r"[\w.-]+", dependency)[0].lower()  # type: ignore[index]
            assert name in own or name.startswith("rostra-"), package


def test_images_hold_only_what_their_service_needs() -> None:
    locks = {component: locked(f"services/{component}/requirements.lock") for component in COMPONENTS}
    for package, owner in (
        ("sqlalchemy", "user"),
        ("pymongo", "history"),
        ("aiohappyeyeballs", "chat"),
        ("uvicorn", "gateway"),
    ):
        assert [component for component in COMPONENTS if package in locks[component]] == [owner]


def test_every_locked_line_has_hashes() -> None:
    for path in ROOT.glob("services/**/requirements*.lock"):
        text = path.read_text()
        assert len(re.findall(r"^[\w.-]+==", text, re.MULTILINE)) == len(re.findall(r"==[^\n]*\\\n +--hash", text))
    # What is installed is locked, but for our own packages.
    installs = re.findall(r"^.*(?: install |\"install\").*$", _DOCKERFILE, re.MULTILINE)
    assert len(installs) == 3
    assert [line for line in installs if "--require-hashes" not in line and "--no-build-isolation" not in line] == []


def test_packages_bring_all_their_files() -> None:
    """What lies in a package but is not named as its data is missing from images alone: elsewhere the tree is used."""
    for component in (*COMPONENTS, "kit"):
        project = tomllib.loads((ROOT / f"services/{component}/pyproject.toml").read_text())
        patterns = project["tool"]["setuptools"]["package-data"]["*"]
        package = ROOT / f"services/{component}/rostra_{component}"
        files = [path for path in package.rglob("*.*") if path.is_file() and path.suffix not in (".py", ".pyc")]
        assert [path for path in files if not any(path.match(pattern) for pattern in patterns)] == []
        # A folder is a package, or its files are not found.
        assert [path.parent for path in files if not (path.parent / "__init__.py").exists()] == []


def test_images_run_as_the_charts_user_and_without_a_shell() -> None:
    users = re.findall(r"^USER (\S+)$", _DOCKERFILE, re.MULTILINE)
    assert users[-1] == users[0] == "10001:10001"
    assert re.findall(r"^(?:ENTRYPOINT|CMD) (?!\[)", _DOCKERFILE, re.MULTILINE) == []
