{{/* The environment of a component's container: (dict "component" "chat" "ctx" $). */}}
{{- define "rostra.environment" -}}
{{- $it := include "rostra.component" . | fromJson -}}
{{- $values := include "rostra.values" . | fromJson -}}
{{- $prefix := printf "ROSTRA_%s_" (upper .component) -}}
{{- $root := .ctx.Values -}}
- {name: {{ $prefix }}ENVIRONMENT, value: {{ $root.environment | quote }}}
- {name: {{ $prefix }}LOG_LEVEL, value: {{ $root.logLevel | quote }}}
- {name: {{ $prefix }}LISTEN__HOST, value: {{ $root.listenHost | quote }}}
- {name: {{ $prefix }}LISTEN__PORT, value: {{ $it.port | quote }}}
- {name: {{ $prefix }}LISTEN__METRICS_PORT, value: {{ include "rostra.metricsPort" . | quote }}}
- {name: {{ $prefix }}SHUTDOWN__ENDPOINT_REMOVAL_SECONDS, value: {{ $values.shutdown.endpointRemovalSeconds | quote }}}
- {name: {{ $prefix }}SHUTDOWN__DRAIN_SECONDS, value: {{ $values.shutdown.drainSeconds | quote }}}
{{- range $it.calls }}
- {name: {{ $prefix }}{{ upper . }}__TARGET, value: {{ include "rostra.target" (dict "component" . "ctx" $.ctx) | quote }}}
{{- end }}
{{- include "rostra.ownEnvironment" . }}
{{- include "rostra.credentialEnvironment" . }}
{{- include "rostra.mutualTlsEnvironment" . }}
{{- include "rostra.settings" (dict "prefix" $prefix "settings" $values.settings) }}
{{- include "rostra.telemetryEnvironment" . }}
{{- range $name, $value := $values.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{/* What one component alone is told by the chart. */}}
{{- define "rostra.ownEnvironment" -}}
{{- $root := .ctx.Values -}}
{{- if and (eq .component "gateway") (or $root.ingress.enabled $root.gatewayApi.enabled) (not (hasKey (default dict $root.gateway.settings.request) "trustedProxies")) }}
- {name: ROSTRA_GATEWAY_REQUEST__TRUSTED_PROXIES, value: {{ ternary "2" "1" (and $root.ingress.enabled $root.ingress.alb.cloudFront) | quote }}}
{{- end }}
{{- if and (eq .component "gateway") (not $root.gateway.settings.publicUrl) }}
{{- with include "rostra.publicUrl" .ctx }}
- {name: ROSTRA_GATEWAY_PUBLIC_URL, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- if eq .component "chat" }}
{{- with $root.provider.baseUrl }}
- {name: OPENAI_BASE_URL, value: {{ . | quote }}}
{{- end }}
{{- if $root.catalogue }}
- {name: ROSTRA_CHAT_CATALOGUE_FILE, value: /etc/rostra/catalogue/models.yaml}
{{- end }}
{{- end }}
{{- if eq .component "user" }}
- {name: ROSTRA_USER_SIGNING_KEYS_DIRECTORY, value: /run/rostra/signing-keys}
{{- end }}
{{- if and $root.caBundle.configMap (has .component (list "user" "history")) }}
- {name: ROSTRA_{{ upper .component }}_DATABASE__TLS_CA_FILE, value: /etc/rostra/ca/ca.pem}
{{- end }}
{{- end -}}

{{/* What a component shows to those that call it and to those that it calls, and whom it trusts. */}}
{{- define "rostra.mutualTlsEnvironment" -}}
{{- if .ctx.Values.mutualTls.enabled }}
{{- $it := include "rostra.component" . | fromJson }}
{{- $prefix := printf "ROSTRA_%s_" (upper .component) }}
{{- $folder := "/run/rostra/certificate" }}
{{- if eq $it.portName "grpc" }}
- {name: {{ $prefix }}LISTEN__HEALTH_PORT, value: {{ include "rostra.healthPort" . | quote }}}
- {name: {{ $prefix }}LISTEN__TLS__CERT_FILE, value: {{ $folder }}/tls.crt}
- {name: {{ $prefix }}LISTEN__TLS__KEY_FILE, value: {{ $folder }}/tls.key}
- {name: {{ $prefix }}LISTEN__TLS__CLIENT_CA_FILE, value: {{ $folder }}/ca.crt}
{{- end }}
{{- range $it.calls }}
- {name: {{ $prefix }}{{ upper . }}__TLS__CERT_FILE, value: {{ $folder }}/tls.crt}
- {name: {{ $prefix }}{{ upper . }}__TLS__KEY_FILE, value: {{ $folder }}/tls.key}
- {name: {{ $prefix }}{{ upper . }}__TLS__CA_FILE, value: {{ $folder }}/ca.crt}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where people reach the gateway, when the chart knows; takes the root context. */}}
{{- define "rostra.publicUrl" -}}
{{- if .Values.ingress.enabled -}}
https://{{ .Values.ingress.host }}
{{- else if and .Values.gatewayApi.enabled .Values.gatewayApi.hostnames -}}
https://{{ first .Values.gatewayApi.hostnames }}
{{- end -}}
{{- end -}}

{{/* Settings as the service's variables: {request: {maxSeconds: 60}} is …REQUEST__MAX_SECONDS=60. Takes prefix, settings. */}}
{{- define "rostra.settings" -}}
{{- range $key, $value := .settings }}
{{- $name := printf "%s%s" $.prefix ($key | snakecase | upper) }}
{{- if kindIs "map" $value }}
{{- include "rostra.settings" (dict "prefix" (printf "%s__" $name) "settings" $value) }}
{{- else }}
- {name: {{ $name }}, value: {{ include "rostra.scalar" $value | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* A value as text, a list as JSON: Helm knows numbers as floats, and would write 10485760 as 1.048576e+07. */}}
{{- define "rostra.scalar" -}}
{{- if kindIs "slice" . }}{{ toJson . }}{{ else if and (kindIs "float64" .) (eq (float64 (int64 .)) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- define "rostra.telemetryEnvironment" -}}
{{- with .ctx.Values.telemetry.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ printf "k8s.namespace.name=%s,k8s.pod.name=$(POD_NAME),service.version=%s" $.ctx.Release.Namespace $.ctx.Chart.AppVersion | quote }}
{{- end }}
{{- end -}}
