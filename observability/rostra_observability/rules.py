"""The rule files of the chart: those of observability/rules, each alert with its runbook, and the objectives'."""

from typing import Any

import yaml

from rostra_observability.paths import RULES
from rostra_observability.slo import Promises, slo_groups

_HEAD = "# Made by `make generate` from observability/{source}.\n"


class _Dumper(yaml.SafeDumper):
    """Writes queries of several lines as such, and what is said twice, twice."""

    def ignore_aliases(self, _data: object) -> bool:
        """Use no anchors."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def rule_files(promises: Promises) -> dict[str, str]:
    """Return each rule file's text by its name."""
    written = {path.name: yaml.safe_load(path.read_text())["groups"] for path in sorted(RULES.glob("*.yaml"))}
    files = {name: _file(groups, f"rules/{name}") for name, groups in written.items()}
    return files | {"slo.yaml": _file(slo_groups(promises), "slo.yaml")}


def _file(groups: list[dict[str, Any]], source: str) -> str:
    for group in groups:
        for rule in group["rules"]:
            if "alert" in rule:
                rule["annotations"]["dashboard"] = f"/d/rostra-{rule['labels']['service']}"
                rule["annotations"]["runbook_url"] = f"observability/runbooks/{rule['alert']}.md"
    body = yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
    return _HEAD.format(source=source) + body
