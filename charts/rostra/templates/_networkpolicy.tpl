{{/*
Who may talk to whom. One policy closes everything for all pods of the release (network/default-deny.yaml); one per component
opens its flows: those of the table in _components.tpl, and the doors of `networkPolicy`. Kubelets' probes always pass.
*/}}
{{- define "rostra.networkPolicy" -}}
{{- if .ctx.Values.networkPolicy.enabled -}}
{{- $it := include "rostra.component" . | fromJson -}}
{{- $policy := .ctx.Values.networkPolicy -}}
{{- $test := dict "component" "test" "ctx" .ctx -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "rostra.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "rostra.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # Callers.
    - ports:
        {{- include "rostra.meshPorts" (dict "port" $it.port "ctx" .ctx) | nindent 8 }}
      from:
        {{- if eq .component "gateway" }}
        {{- toYaml $policy.clients | nindent 8 }}
        {{- include "rostra.peer" $test | nindent 8 }}
        {{- end }}
        {{- range include "rostra.callers" . | fromJsonArray }}
        {{- include "rostra.peer" (dict "component" . "ctx" $.ctx) | nindent 8 }}
        {{- end }}
    {{- with $policy.metrics }}
    # Prometheus.
    - ports:
        - {port: {{ include "rostra.metricsPort" $ }}, protocol: TCP}
      from:
        {{- toYaml . | nindent 8 }}
    {{- end }}
    {{- if and .ctx.Values.istio.enabled (eq .ctx.Values.istio.mode "ambient") }}
    # Kubelets' probes, which ambient gives this address.
    - ports:
        - {port: {{ $it.port }}, protocol: TCP}
      from:
        - ipBlock: {cidr: 169.254.7.127/32}
    {{- end }}
  egress:
    {{- include "rostra.dnsEgress" .ctx | nindent 4 }}
    {{- include "rostra.istiodEgress" .ctx | nindent 4 }}
    {{- range $it.calls }}
    # {{ . }}
    - ports:
        {{- include "rostra.meshPorts" (dict "port" (include "rostra.component" (dict "component" . "ctx" $.ctx) | fromJson).port "ctx" $.ctx) | nindent 8 }}
      to:
        {{- include "rostra.peer" (dict "component" . "ctx" $.ctx) | nindent 8 }}
    {{- end }}
    {{- range $it.doors }}
    {{- if or (ne . "telemetry") $.ctx.Values.telemetry.otlpEndpoint }}
    {{- include "rostra.door" (dict "name" . "door" (get $policy .)) | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- if eq .component "chat" }}
    {{- range $policy.providers }}
    {{- include "rostra.door" (dict "name" "a provider of models" "door" .) | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- if $policy.podIdentity }}
    # EKS Pod Identity's agent, on each node.
    - ports:
        - {port: 80, protocol: TCP}
      to:
        - ipBlock: {cidr: 169.254.170.23/32}
        - ipBlock: {cidr: fd00:ec2::23/128}
    {{- end }}
{{- end -}}
{{- end -}}

{{/* A port between pods; in ambient, traffic travels through the tunnels' port. */}}
{{- define "rostra.meshPorts" -}}
- {port: {{ .port }}, protocol: TCP}
{{- if and .ctx.Values.istio.enabled (eq .ctx.Values.istio.mode "ambient") }}
- {port: 15008, protocol: TCP}
{{- end }}
{{- end -}}

{{- define "rostra.peer" -}}
- podSelector:
    matchLabels:
      {{- include "rostra.selector" . | nindent 6 }}
{{- end -}}

{{- define "rostra.door" -}}
# {{ .name }}
- ports:
    - {port: {{ .door.port }}, protocol: TCP}
  to:
    {{- toYaml .door.to | nindent 4 }}
{{- end -}}

{{- define "rostra.dnsEgress" -}}
# DNS
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
{{- end -}}

{{/* What a sidecar needs of the mesh. */}}
{{- define "rostra.istiodEgress" -}}
{{- if and .Values.istio.enabled (eq .Values.istio.mode "sidecar") -}}
# istiod, from the sidecar
- ports:
    - {port: 15012, protocol: TCP}
  to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: istio-system}}
{{- end }}
{{- end -}}
