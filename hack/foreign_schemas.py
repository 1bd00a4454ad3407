"""Write tests/chart/schemas: what others say of the objects that the chart and k8s/ make for them.

The sources are Go modules of those projects, all under the Apache License 2.0. What only explains is left out; objects
that list their keys take no others, as the API server holds it. Needs `go`.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]

FOLDER = Path(__file__).parent.parent / "tests/chart/schemas"
_ISTIO = ("istio.io/api@v1.32.0", "kubernetes/customresourcedefinitions.gen.yaml")
_GATEWAY_API = ("sigs.k8s.io/gateway-api@v1.6.3", "config/crd/standard/gateway.networking.k8s.io_{}.yaml")
_EXTERNAL_SECRETS = (
    "github.com/external-secrets/external-secrets@v1.3.2",
    "config/crds/bases/external-secrets.io_{}.yaml",
)
_PROMETHEUS = (
    "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    "example/prometheus-operator-crd/monitoring.coreos.com_{}.yaml",
)
# Module and file of each kind, by apiVersion and kind.
CUSTOM = {
    ("cert-manager.io/v1", "Certificate"): (
        "github.com/cert-manager/cert-manager@v1.21.2",
        "deploy/crds/cert-manager.io_{}.yaml",
    ),
    ("external-secrets.io/v1", "ExternalSecret"): _EXTERNAL_SECRETS,
    ("external-secrets.io/v1", "SecretStore"): _EXTERNAL_SECRETS,
    ("gateway.networking.k8s.io/v1", "Gateway"): _GATEWAY_API,
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): _GATEWAY_API,
    ("keda.sh/v1alpha1", "ScaledObject"): ("github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_{}.yaml"),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _PROMETHEUS,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _PROMETHEUS,
    ("networking.istio.io/v1", "DestinationRule"): _ISTIO,
    ("networking.istio.io/v1", "VirtualService"): _ISTIO,
    ("security.istio.io/v1", "AuthorizationPolicy"): _ISTIO,
    ("security.istio.io/v1", "PeerAuthentication"): _ISTIO,
}
EKSCTL = ("github.com/weaveworks/eksctl@v0.215.0", "pkg/apis/eksctl.io/v1alpha5/assets/schema.json")
_EXPLAINS = {"description", "default", "example", "examples", "preferredOrder", "x-intellij-html-description"}
_ANY_NAME = {"properties", "patternProperties", "definitions"}


def folder_of(module: str) -> Path:
    """Download a Go module and return where it lies."""
    command = ["go", "mod", "download", "-json", module]
    done = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, check=True)
    return Path(json.loads(done.stdout)["Dir"])


def bare(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without what only explains; `names` says that the keys are names of somebody's own."""
    if isinstance(schema, list):
        return [bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: bare(value, names=not names and key in _ANY_NAME)
        for key, value in schema.items()
        if names or key not in _EXPLAINS
    }


def standard(schema: Any) -> Any:
    """Return a schema of a CustomResourceDefinition in the words of JSON Schema."""
    if isinstance(schema, list):
        return [standard(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    words = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-") and key != "nullable"}
    words = {
        key: {name: standard(each) for name, each in value.items()} if key == "properties" else standard(value)
        for key, value in words.items()
    }
    if schema.get("x-kubernetes-int-or-string"):
        words = {key: value for key, value in words.items() if key not in ("anyOf", "type")} | {
            "type": ["integer", "string"]
        }
    if (
        words.get("type") == "object"
        and "properties" in words
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        words.setdefault("additionalProperties", False)
    if schema.get("nullable") and isinstance(words.get("type"), str):
        words["type"] = [words["type"], "null"]
    return words


def custom_schema(api_version: str, kind: str) -> Schema:
    """Return the schema of a custom kind."""
    module, path = CUSTOM[api_version, kind]
    plural = f"{kind.lower()}s"
    text = (folder_of(module) / path.format(plural)).read_text()
    version = api_version.partition("/")[2]
    (found,) = [
        each["schema"]["openAPIV3Schema"]
        for definition in yaml.load_all(text, Loader=yaml.CSafeLoader)
        if definition and definition["kind"] == "CustomResourceDefinition"
        if definition["spec"]["names"]["kind"] == kind
        if definition["spec"]["group"] == api_version.partition("/")[0]
        for each in definition["spec"]["versions"]
        if each["name"] == version
    ]
    schema = standard(bare(found))
    # Istio's do not say what every object has.
    always = {"apiVersion": {"const": api_version}, "kind": {"const": kind}, "metadata": {"type": "object"}}
    return {**schema, "properties": schema["properties"] | always}


def write(name: str, source: tuple[str, str], schema: Schema) -> None:
    """Write a schema with where it comes from."""
    comment = f"Apache-2.0, from {source[0]}, {source[1]}, without explanations. Written by hack/foreign_schemas.py."
    text = json.dumps({"$comment": comment, **schema}, separators=(",", ":"), ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n")


def main() -> None:
    """Write all of them."""
    for (api_version, kind), source in CUSTOM.items():
        write(f"{api_version.replace('/', '_')}_{kind}", source, custom_schema(api_version, kind))
    write("eksctl", EKSCTL, bare(json.loads((folder_of(EKSCTL[0]) / EKSCTL[1]).read_text())))


if __name__ == "__main__":
    main()
