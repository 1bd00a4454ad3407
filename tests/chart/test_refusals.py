"""What the chart refuses, and what it says then."""

import re
from typing import Any

import helm_python
import pytest

from support.chart import CHART, COMPONENTS, least_values, merged, nested, render

_ALB = {"enabled": True, "host": "api.example.com", "alb": {"certificateArn": "arn:aws:acm:eu:1:certificate/1"}}
_INGRESS = {"ingress": _ALB}
_MUTUAL_TLS: dict[str, Any] = {"mutualTls": {"enabled": True, "certManager": {"issuer": {"name": "rostra"}}}}
_DIGEST = "sha256:" + "0" * 64

# Where, what, and what the message must have.
_BY_SCHEMA: list[tuple[str, Any, str]] = [
    ("gatway.replicas", 3, "gatway"),
    ("gateway.replica", 3, "replica"),
    ("gateway.settings.requests.maxSeconds", 3, "requests"),
    ("gateway.settings.keepAliveSeconds", "75", "keepAliveSeconds"),
    ("gateway.settings.heartbeatSeconds", 0, "heartbeatSeconds"),
    ("chat.settings.openaiApiKey", "sk-secret", "openaiApiKey"),
    ("history.settings.database.url", "mongodb://user:secret@host", "url"),
    ("user.settings.registration", "anybody", "registration"),
    ("defaults.settings.logLevel", "info", "settings"),
    ("images.tag", "latest", "tag"),
    ("chat.image.tag", "latest", "tag"),
    ("chat.image.digest", _DIGEST[:-1], "digest"),
    ("environment", "staging", "environment"),
    ("credentials.redis.value", "redis://secret", "value"),
    ("credentials.redis.existingSecret.password", "secret", "password"),
    ("credentials.signingKeys.csi.files", {"key.txt": "x"}, "files"),
    ("chat.env", {"ROSTRA_CHAT_LOG_LEVEL": "debug"}, "env"),
    ("chat.disruption.maxUnavailable", 0, "maxUnavailable"),
    ("chat.autoscaling.cpuPercent", 170, "cpuPercent"),
    ("chat.autoscaling.behavior.scaleSideways", {}, "scaleSideways"),
    ("credentials.userDatabaseLogin.csi.files", {"password": "x"}, "files"),
    ("mutualTls.certManager.duration", "90d", "duration"),
    ("ingress.alb.idleTimeoutSeconds", 30, "idleTimeoutSeconds"),
    ("networkPolicy.clients", [{}], "clients"),
    ("networkPolicy.redis.to", [], "to"),
    ("networkPolicy.everything", True, "everything"),
    ("gateway.shutdown.preStopSeconds", -1, "preStopSeconds"),
    ("monitoring.rules.enabled", "yes", "enabled"),
    ("istio.mode", "both", "mode"),
]

_BY_TEMPLATE: list[tuple[dict[str, Any], str]] = [
    (nested("credentials.redis.existingSecret.name", ""), "credentials.redis: no source. Set one of"),
    (nested("credentials.signingKeys.existingSecret.name", ""), "credentials.signingKeys.csi.files"),
    (
        nested("credentials.redis.csi.objectName", "x"),
        "credentials.redis: more than one source: existingSecret.name, csi. Keep one.",
    ),
    (
        nested("credentials.provider.externalSecret.remoteKey", "x"),
        "externalSecrets.store.name: missing, and credentials.provider.externalSecret needs it",
    ),
    (
        nested("gateway.shutdown.terminationGracePeriodSeconds", 149),
        "gateway.shutdown.terminationGracePeriodSeconds: 149 is too short",
    ),
    (nested("history.shutdown.drainSeconds", 31), "history.shutdown.terminationGracePeriodSeconds: 80 is too short"),
    (nested("chat.spot", True), "chat.spot: spot nodes leave after 120 s"),
    (nested("user.shutdown.preStopSeconds", 30), "user.shutdown.preStopSeconds: 30 must be above dns.cacheSeconds"),
    (nested("chat.autoscaling.minReplicas", 11), "chat.autoscaling: minReplicas 11 is above maxReplicas 10"),
    (nested("user.resources.requests.cpu", None), "user.resources.requests.cpu: missing"),
    (nested("user.resources.requests.memory", None), "user.resources.requests.memory: missing"),
    (
        nested("chat.autoscaling.keda.queries.streams", {"query": "sum(x)", "average": 1}),
        "chat.autoscaling.keda.prometheusUrl: missing",
    ),
    (nested("chat.rollout.maxSurge", 0), "chat.rollout: maxSurge and maxUnavailable are both 0"),
    (nested("chat.serviceAccount.create", False), "chat.serviceAccount.name: missing"),
    (
        merged(_INGRESS, nested("gateway.settings.heartbeatSeconds", 60)),
        "gateway.settings.heartbeatSeconds: 60 must be below ingress.alb.idleTimeoutSeconds (60)",
    ),
    (
        merged(_INGRESS, nested("ingress.alb.idleTimeoutSeconds", 75)),
        "gateway.settings.keepAliveSeconds: 75 must be above ingress.alb.idleTimeoutSeconds (75)",
    ),
    (
        merged(_INGRESS, nested("ingress.alb.deregistrationDelaySeconds", 139)),
        "ingress.alb.deregistrationDelaySeconds: 139 is shorter than a gateway takes to leave, 140 s",
    ),
    (
        merged(_INGRESS, nested("gateway.settings.heartbeatSeconds", 30) | nested("ingress.alb.cloudFront", True)),
        "gateway.settings.heartbeatSeconds: 30 must be below CloudFront's 30 s",
    ),
    (
        nested("gateway.settings.request.maxSeconds", 4200),
        "history.settings.abandonedAfterSeconds: 4200 must be above gateway.settings.request.maxSeconds (4200)",
    ),
    (nested("connectionLimits.mysql", 124), "connectionLimits.mysql: user's pods may open 100 connections"),
    (nested("connectionLimits.documentdb", 714), "connectionLimits.documentdb: history's pods may open 500"),
    (nested("ingress.enabled", True), "ingress.host: missing"),
    ({"ingress": {"enabled": True, "host": "api.example.com"}}, "ingress.alb.certificateArn: missing"),
    (nested("gatewayApi.enabled", True), "gatewayApi.parentRefs: missing"),
    (nested("user.settings.registration", "invited"), "credentials.invitationCode: no source"),
    (
        nested("mutualTls.enabled", True),
        "credentials.chatCertificate: no source, and mutualTls.enabled is true. Set one of",
    ),
    (
        nested("credentials.chatCertificate.existingSecret.name", "x"),
        "credentials.chatCertificate: a source, and mutualTls.enabled is false",
    ),
    (
        nested("mutualTls.certManager.issuer.name", "x"),
        "mutualTls.certManager.issuer.name: a source, and mutualTls.enabled is false",
    ),
    (
        merged(_MUTUAL_TLS, nested("credentials.userCertificate.existingSecret.name", "x")),
        "credentials.userCertificate: more than one source: existingSecret.name, mutualTls.certManager.issuer.name",
    ),
    (merged(_MUTUAL_TLS, nested("istio.enabled", True)), "mutualTls.enabled: true, and istio.enabled too"),
    (
        nested("credentials.userDatabaseTls.existingSecret.name", "x"),
        "credentials.userDatabaseTls: a source, and caBundle.configMap is empty",
    ),
    (nested("development.writableRoot", True), "development.writableRoot: true, and environment is not `development`"),
    (nested("networkPolicy.clients", []), "networkPolicy.clients: empty"),
]

_JUST_GOOD: list[dict[str, Any]] = [
    _INGRESS,
    _MUTUAL_TLS,
    nested("gateway.shutdown.terminationGracePeriodSeconds", 150),
    nested("history.spot", True),
    nested("connectionLimits", {"mysql": 125, "documentdb": 715}),
    merged(_INGRESS, nested("ingress.alb.deregistrationDelaySeconds", 140)),
    merged(_INGRESS, nested("ingress.alb.idleTimeoutSeconds", 74)),
    nested("global.whatever", 1),
]


@pytest.mark.parametrize(("path", "value", "named"), _BY_SCHEMA)
def test_value_that_the_schema_does_not_know_is_refused_by_name(path: str, value: object, named: str) -> None:
    with pytest.raises(helm_python.HelmError) as refusal:
        render(merged(least_values(), nested(path, value)))
    assert "values don't meet the specifications of the schema" in str(refusal.value)
    assert named in str(refusal.value)


@pytest.mark.parametrize(("values", "message"), _BY_TEMPLATE)
def test_values_that_do_not_fit_together_are_refused_with_a_way_out(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmError) as refusal:
        render(merged(least_values(), values))
    assert message in str(refusal.value)


@pytest.mark.parametrize("values", _JUST_GOOD)
def test_values_that_just_fit_are_taken(values: dict[str, Any]) -> None:
    assert render(merged(least_values(), values))


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_has_the_same_checks(component: str) -> None:
    with pytest.raises(helm_python.HelmError, match=f"{component}.shutdown.terminationGracePeriodSeconds: 20"):
        render(merged(least_values(), nested(f"{component}.shutdown.terminationGracePeriodSeconds", 20)))


def test_every_message_of_the_templates_is_tested() -> None:
    text = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    beginnings = re.findall(r'fail \(?(?:printf )?"((?:%s|[^"%\\])+)', text)
    assert len(beginnings) == len(re.findall(r"\bfail\b \(?", text))
    untested = []
    for beginning in beginnings:
        pattern = re.compile(".*".join(map(re.escape, beginning.split("%s"))))
        if not any(pattern.search(message) or _overlaps(beginning, message) for _, message in _BY_TEMPLATE):
            untested.append(beginning)
    assert untested == []


def _overlaps(beginning: str, message: str) -> bool:
    """Tell whether a tested message, which may be a part only, is one of these words with their gaps filled."""
    words = [part.strip() for part in beginning.split("%s") if len(part.strip()) > 3]
    return bool(words) and all(word[:20] in message or message in word for word in words[:1])
