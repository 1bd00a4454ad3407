{{/* A component's autoscaler: a HorizontalPodAutoscaler, or KEDA's ScaledObject, which makes one itself. */}}
{{- define "rostra.autoscaler" -}}
{{- $scaling := (include "rostra.values" . | fromJson).autoscaling -}}
{{- if and $scaling.enabled $scaling.keda.enabled -}}
{{ include "rostra.scaledObject" . }}
{{- else if $scaling.enabled -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "rostra.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "rostra.name" . }}}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ $scaling.cpuPercent }}}}
    - type: Resource
      resource: {name: memory, target: {type: Utilization, averageUtilization: {{ $scaling.memoryPercent }}}}
    {{- range $name, $average := $scaling.podMetrics }}
    - type: Pods
      pods: {metric: {name: {{ $name }}}, target: {type: AverageValue, averageValue: {{ $average | quote }}}}
    {{- end }}
  behavior:
    {{- toYaml $scaling.behavior | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "rostra.scaledObject" -}}
{{- $scaling := (include "rostra.values" . | fromJson).autoscaling -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "rostra.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {name: {{ include "rostra.name" . }}}
  minReplicaCount: {{ $scaling.minReplicas }}
  maxReplicaCount: {{ $scaling.maxReplicas }}
  pollingInterval: {{ $scaling.keda.pollingIntervalSeconds }}
  {{- if $scaling.keda.queries }}
  fallback: {failureThreshold: 3, replicas: {{ $scaling.minReplicas }}, behavior: currentReplicasIfHigher}
  {{- end }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml $scaling.behavior | nindent 8 }}
  triggers:
    - type: cpu
      metricType: Utilization
      metadata: {value: {{ $scaling.cpuPercent | quote }}}
    - type: memory
      metricType: Utilization
      metadata: {value: {{ $scaling.memoryPercent | quote }}}
    {{- range $name, $it := $scaling.keda.queries }}
    - type: prometheus
      name: {{ $name }}
      metricType: AverageValue
      metadata:
        serverAddress: {{ $scaling.keda.prometheusUrl | quote }}
        query: {{ $it.query | quote }}
        threshold: {{ $it.average | quote }}
        ignoreNullValues: "false"
    {{- end }}
    {{- range $scaling.keda.cron }}
    - type: cron
      metadata:
        timezone: {{ .timezone | quote }}
        start: {{ .start | quote }}
        end: {{ .end | quote }}
        desiredReplicas: {{ .replicas | quote }}
    {{- end }}
{{- end -}}

{{/* How many pods a component has at least. */}}
{{- define "rostra.minReplicas" -}}
{{- $values := include "rostra.values" . | fromJson -}}
{{- ternary $values.autoscaling.minReplicas $values.replicas $values.autoscaling.enabled -}}
{{- end -}}

{{/* A budget only where there is more than one pod: with one it would keep nodes from being drained. */}}
{{- define "rostra.disruptionBudget" -}}
{{- if gt (include "rostra.minReplicas" . | int) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "rostra.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ (include "rostra.values" . | fromJson).disruption.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "rostra.selector" . | nindent 6 }}
{{- end -}}
{{- end -}}
