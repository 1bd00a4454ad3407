"""An upgrade from the release before works: what Kubernetes cannot change stays, and hooks may run again."""

import copy
from typing import Any

import pytest
import yaml

from support.chart import CHART, Manifest, least_values, merged, name_of, of_kind, render, render_scenario

_RECORD = CHART / "ci/immutable.yaml"
_HOOK, _DELETE = "helm.sh/hook", "helm.sh/hook-delete-policy"


def immutable(manifests: list[Manifest] | tuple[Manifest, ...]) -> dict[str, Any]:
    """Return by kind and name what an upgrade cannot change; hooks are made anew each time."""
    found: dict[str, Any] = {}
    for each in manifests:
        if _HOOK in each["metadata"].get("annotations", {}):
            continue
        spec = each.get("spec", {})
        if each["kind"] in ("Deployment", "StatefulSet"):
            found[name_of(each)] = {"selector": spec["selector"], "serviceName": spec.get("serviceName")}
        elif each["kind"] == "Service":
            found[name_of(each)] = {"headless": spec.get("clusterIP") == "None"}
        elif each["kind"] == "PriorityClass":
            found[name_of(each)] = {"value": each["value"]}
        elif each["kind"] == "Job":
            found[name_of(each)] = {"not a hook": spec["template"]}
    return found


def conflicts(record: dict[str, Any], manifests: list[Manifest] | tuple[Manifest, ...]) -> list[str]:
    """Return the objects that an upgrade from `record` would fail on."""
    present = immutable(manifests)
    return [name for name, fields in record.items() if name in present and present[name] != fields]


def test_upgrade_from_the_last_release_changes_nothing_immutable(scenario: str) -> None:
    # Written by hand at a release; a change of it is a breaking change, and belongs into UPGRADE.md.
    record = yaml.safe_load(_RECORD.read_text())
    assert conflicts(record, render_scenario(scenario)) == []


def test_record_has_every_object_that_cannot_change() -> None:
    record = yaml.safe_load(_RECORD.read_text())
    assert immutable(render_scenario("environment-prod")).keys() <= record.keys()


@pytest.mark.parametrize("field", ["selector", "headless"])
def test_changed_selector_or_address_would_be_found(field: str) -> None:
    record = yaml.safe_load(_RECORD.read_text())
    manifests = copy.deepcopy(list(render_scenario("least")))
    for each in manifests:
        if each["kind"] == "Deployment" and field == "selector":
            each["spec"]["selector"]["matchLabels"]["helm.sh/chart"] = "rostra-0.2.0"
        if each["kind"] == "Service" and field == "headless":
            each["spec"]["clusterIP"] = "10.0.0.1"
    assert conflicts(record, manifests)


def test_selectors_hold_nothing_that_a_release_changes() -> None:
    for deployment in of_kind(render(least_values(labels={"team": "x"}, images={"tag": "9.9.9"})), "Deployment"):
        assert {key.rpartition("/")[2] for key in deployment["spec"]["selector"]["matchLabels"]} == {
            "name",
            "instance",
            "component",
        }


def test_hooks_are_replaced_before_they_are_made_again(scenario: str) -> None:
    hooks = [each for each in render_scenario(scenario) if _HOOK in each["metadata"].get("annotations", {})]
    for hook in hooks:
        assert "before-hook-creation" in hook["metadata"]["annotations"][_DELETE], name_of(hook)


def test_migration_has_all_it_needs_before_anything_of_the_release_exists(scenario: str) -> None:
    """A first install: only other hooks of lower weight are there, and what the user made."""
    manifests = render_scenario(scenario)
    before = {
        name_of(each)
        for each in manifests
        if each["metadata"].get("annotations", {}).get(_HOOK) == "pre-install,pre-upgrade"
        and int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) < 0
    }
    released = {name_of(each) for each in manifests if _HOOK not in each["metadata"].get("annotations", {})}
    for job in of_kind(manifests, "Job"):
        spec = job["spec"]["template"]["spec"]
        assert f"ServiceAccount/{spec['serviceAccountName']}" in before
        secrets = [
            each["valueFrom"]["secretKeyRef"]["name"] for each in spec["containers"][0]["env"] if "valueFrom" in each
        ]
        made_by_the_release = {
            f"{kind}/{secret}" for secret in secrets for kind in ("ExternalSecret", "SecretProviderClass")
        }
        assert not made_by_the_release & released
        for volume in spec["volumes"]:
            if "csi" in volume:
                assert f"SecretProviderClass/{volume['csi']['volumeAttributes']['secretProviderClass']}" in before
        if of_kind(manifests, "NetworkPolicy"):
            assert "NetworkPolicy/rostra-migration" in before


def test_migrations_helpers_are_gone_afterwards_and_its_log_stays() -> None:
    manifests = render(least_values(caBundle={"configMap": "rds-ca"}))
    for each in manifests:
        policy = each["metadata"].get("annotations", {}).get(_DELETE, "")
        if each["metadata"].get("annotations", {}).get(_HOOK, "").startswith("pre-"):
            assert ("hook-succeeded" in policy) == (each["kind"] != "Job")


def test_changed_catalogue_replaces_the_pods_that_read_it() -> None:
    def annotations(catalogue: str) -> dict[str, str]:
        manifests = render(merged(least_values(), {"catalogue": catalogue}))
        (chat,) = [each for each in of_kind(manifests, "Deployment") if each["metadata"]["name"] == "rostra-chat"]
        return chat["spec"]["template"]["metadata"]["annotations"]

    assert annotations("models: []") != annotations("models: [] # changed")
