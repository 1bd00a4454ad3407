{{/* Names and labels. Each takes the root context unless it says otherwise. */}}

{{- define "rostra.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of something of one component, or of another part: (dict "component" "chat" "ctx" $). */}}
{{- define "rostra.name" -}}
{{- printf "%s-%s" (include "rostra.fullname" .ctx) .component -}}
{{- end -}}

{{/* What selects the pods of a component; never changes, for Deployments cannot change it: (dict "component" "ctx"). */}}
{{- define "rostra.selector" -}}
app.kubernetes.io/name: {{ default .ctx.Chart.Name .ctx.Values.nameOverride }}
app.kubernetes.io/instance: {{ .ctx.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* The labels of every object: (dict "component" "ctx"), without a component for what all share. */}}
{{- define "rostra.labels" -}}
{{ include "rostra.selector" . }}
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: rostra
app.kubernetes.io/managed-by: {{ .ctx.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .ctx.Chart.Name .ctx.Chart.Version | replace "+" "_" }}
{{- with .ctx.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Name, namespace and labels of an object of a component: (dict "component" "chat" "ctx" $). */}}
{{- define "rostra.metadata" -}}
name: {{ include "rostra.name" . }}
namespace: {{ .ctx.Release.Namespace }}
labels:
  {{- include "rostra.labels" . | nindent 2 }}
{{- end -}}

{{- define "rostra.serviceAccountName" -}}
{{- $values := include "rostra.values" . | fromJson -}}
{{- $values.serviceAccount.name | default (include "rostra.name" .) -}}
{{- end -}}
