{{/* A component's Deployment: (dict "component" "chat" "ctx" $). */}}
{{- define "rostra.deployment" -}}
{{- $it := include "rostra.component" . | fromJson -}}
{{- $values := include "rostra.values" . | fromJson -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "rostra.metadata" . | nindent 2 }}
spec:
  {{- /* Whoever scales the pods owns their number. */}}
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  progressDeadlineSeconds: 600
  strategy:
    type: RollingUpdate
    rollingUpdate:
      {{- toYaml $values.rollout | nindent 6 }}
  selector:
    matchLabels:
      {{- include "rostra.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "rostra.selector" . | nindent 8 }}
        app.kubernetes.io/version: {{ .ctx.Chart.AppVersion | quote }}
        app.kubernetes.io/part-of: rostra
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- if and .ctx.Values.catalogue (eq .component "chat") }}
        checksum/catalogue: {{ sha256sum .ctx.Values.catalogue }}
        {{- end }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "rostra.serviceAccountName" . }}
      {{- include "rostra.podBasics" .ctx | nindent 6 }}
      terminationGracePeriodSeconds: {{ $values.shutdown.terminationGracePeriodSeconds }}
      {{- include "rostra.placement" . | trim | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "rostra.image" . | quote }}
          imagePullPolicy: {{ .ctx.Values.images.pullPolicy }}
          securityContext:
            {{- include "rostra.containerSecurity" .ctx | nindent 12 }}
          ports:
            - {name: {{ $it.portName }}, containerPort: {{ $it.port }}}
            - {name: metrics, containerPort: {{ include "rostra.metricsPort" . }}}
            {{- if and .ctx.Values.mutualTls.enabled (eq $it.portName "grpc") }}
            - {name: health, containerPort: {{ include "rostra.healthPort" . }}}
            {{- end }}
          env:
            {{- include "rostra.environment" . | nindent 12 }}
          {{- range $kind := list "startup" "readiness" "liveness" }}
          {{ $kind }}Probe:
            {{- include "rostra.probe" (dict "kind" $kind "component" $.component "ctx" $.ctx) | nindent 12 }}
          {{- end }}
          {{- /* The clock of terminationGracePeriodSeconds runs from the beginning of this pause. */}}
          {{- if $values.shutdown.preStopSeconds }}
          lifecycle:
            preStop:
              sleep: {seconds: {{ $values.shutdown.preStopSeconds }}}
          {{- end }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            {{- include "rostra.mounts" . | nindent 12 }}
      volumes:
        {{- include "rostra.volumes" . | nindent 8 }}
{{- end -}}
