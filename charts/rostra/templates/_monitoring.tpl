{{- define "rostra.serviceMonitor" -}}
{{- $monitors := .ctx.Values.monitoring.serviceMonitors -}}
{{- if $monitors.enabled -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "rostra.metadata" . | nindent 2 }}
    {{- with $monitors.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  jobLabel: app.kubernetes.io/component
  selector:
    matchLabels:
      {{- include "rostra.selector" . | nindent 6 }}
  namespaceSelector: {matchNames: [{{ .ctx.Release.Namespace }}]}
  endpoints:
    - port: metrics
      path: /metrics
      interval: {{ $monitors.intervalSeconds }}s
      scrapeTimeout: {{ min 10 $monitors.intervalSeconds }}s
{{- end -}}
{{- end -}}
