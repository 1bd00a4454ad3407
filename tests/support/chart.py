"""The Helm chart, rendered by Helm's own engine: its scenarios, and the objects that they make."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "charts/rostra"
RELEASE, NAMESPACE = "rostra", "rostra"
COMPONENTS = ("gateway", "chat", "history", "user")

Values = Mapping[str, Any]
Manifest = dict[str, Any]

_WORD_BY_WORD = "templates/monitoring/"
_CREDENTIALS = ("userDatabase", "historyDatabase", "redis", "signingKeys")


def scenarios() -> dict[str, Path]:
    """Return the values files that the chart is tested with, by name: its own scenarios, and our environments."""
    own = {path.name.removesuffix("-values.yaml"): path for path in (CHART / "ci").glob("*-values.yaml")}
    environments = {f"environment-{path.parent.name}": path for path in ROOT.glob("k8s/environments/*/values.yaml")}
    return dict(sorted((own | environments).items()))


def read_values(path: Path) -> dict[str, Any]:
    """Return the values in a file."""
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader) or {}


def least_values(**more: Any) -> dict[str, Any]:
    """Return the values that have to be set, each secret from one that exists, and those of `more` beside them."""
    credentials = {name: {"existingSecret": {"name": f"rostra-{name.lower()}"}} for name in _CREDENTIALS}
    return merged({"credentials": credentials}, more)


def merged(below: Values, above: Values) -> dict[str, Any]:
    """Return two trees of values as one; `above` wins."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def nested(path: str, value: Any) -> dict[str, Any]:
    """Return a value under its dotted path: `nested("a.b", 1)` is `{"a": {"b": 1}}`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


@contextmanager
def loaded_chart() -> Iterator[helm_python.Chart]:
    """Load the chart, and free it at the end."""
    with helm_python.Chart.load(str(CHART)) as chart:
        yield chart


def render_files(values: Values, *, release: str = RELEASE) -> dict[str, str]:
    """Render every template and return the texts by path below the chart's folder.

    Raises:
        helm_python.HelmError: The values are refused.
    """
    with loaded_chart() as chart:
        rendered = chart.render(dict(values), name=release, namespace=NAMESPACE)
    return {path.removeprefix("rostra/"): text for path, text in rendered.items()}


def render(values: Values, *, release: str = RELEASE) -> list[Manifest]:
    """Render the chart and return its objects, hooks and tests included."""
    files = render_files(values, release=release)
    texts = [text for path, text in sorted(files.items()) if path.endswith(".yaml")]
    return [found for text in texts for found in yaml.load_all(text, Loader=yaml.CSafeLoader) if found]


@cache
def render_scenario(name: str) -> tuple[Manifest, ...]:
    """Render a scenario; its objects are shared, so leave them as they are."""
    return tuple(render(read_values(scenarios()[name])))


def golden(values: Values) -> str:
    """Return all that is rendered as one text, as it is kept for review.

    Left out are checksums and versions, and rules and dashboards: those are files of the chart, word by word.
    """
    files = render_files(values)
    parts = [
        f"# {path}\n{_tidy(text)}"
        for path, text in sorted(files.items())
        if text.strip() and not path.startswith(_WORD_BY_WORD)
    ]
    return "\n".join(parts)


def golden_path(scenario: str) -> Path:
    """Return where the golden of a scenario is kept."""
    return CHART / "ci/rendered" / f"{scenario}.yaml"


def name_of(manifest: Manifest) -> str:
    """Return kind and name."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def component_of(manifest: Manifest) -> str:
    """Return the component that an object says it belongs to."""
    return manifest["metadata"]["labels"].get("app.kubernetes.io/component", "")


def of_kind(manifests: tuple[Manifest, ...] | list[Manifest], *kinds: str) -> list[Manifest]:
    """Return the objects of these kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def pod_templates(manifests: tuple[Manifest, ...] | list[Manifest]) -> dict[str, Manifest]:
    """Return the pods, as `{metadata, spec}`, that the objects make, by kind and name."""
    pods = {name_of(each): each for each in of_kind(manifests, "Pod")}
    for workload in of_kind(manifests, "Deployment", "StatefulSet", "Job"):
        pods[name_of(workload)] = workload["spec"]["template"]
    return pods


def _tidy(text: str) -> str:
    text = re.sub(r"(checksum/[a-z]+: ).*", r"\1<checksum>", text)
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return "\n".join(line for line in lines if line) + "\n"
