{{/* The security of every pod: Pod Security "restricted", and a root file system that nobody writes to. */}}
{{- define "rostra.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Takes the root context. */}}
{{- define "rostra.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ not .Values.development.writableRoot }}
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What all pods say alike; takes the root context. */}}
{{- define "rostra.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "rostra.podSecurity" . | nindent 2 }}
{{- end -}}

{{/* The volumes of a component's pod beside those of its credentials. */}}
{{- define "rostra.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if and .ctx.Values.caBundle.configMap (has .component (list "user" "history")) }}
- name: ca
  configMap:
    name: {{ .ctx.Values.caBundle.configMap }}
    items:
      - {key: {{ .ctx.Values.caBundle.key }}, path: ca.pem}
{{- end }}
{{- if and .ctx.Values.catalogue (eq .component "chat") }}
- name: catalogue
  configMap: {name: {{ include "rostra.fullname" .ctx }}-catalogue}
{{- end }}
{{- include "rostra.credentialVolumes" . }}
{{- end -}}

{{- define "rostra.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if and .ctx.Values.caBundle.configMap (has .component (list "user" "history")) }}
- {name: ca, mountPath: /etc/rostra/ca, readOnly: true}
{{- end }}
{{- if and .ctx.Values.catalogue (eq .component "chat") }}
- {name: catalogue, mountPath: /etc/rostra/catalogue, readOnly: true}
{{- end }}
{{- include "rostra.credentialMounts" . }}
{{- end -}}

{{/* How a component is probed. `live` is a health service that says only that the process turns: a database that is away
     must not restart pods. The readiness of a gRPC service is its health as a whole. */}}
{{- define "rostra.probe" -}}
{{- $it := include "rostra.component" . | fromJson -}}
{{- $port := ternary (include "rostra.healthPort" .) $it.port .ctx.Values.mutualTls.enabled -}}
{{- if eq $it.portName "http" -}}
httpGet: {path: {{ ternary "/readyz" "/livez" (eq .kind "readiness") }}, port: http}
{{- else if eq .kind "readiness" -}}
grpc: {port: {{ $port }}}
{{- else -}}
grpc: {port: {{ $port }}, service: live}
{{- end }}
{{ toYaml (get (include "rostra.values" . | fromJson).probes .kind) }}
{{- end -}}

{{/* Where a component's pods go. */}}
{{- define "rostra.placement" -}}
{{- $values := include "rostra.values" . | fromJson -}}
{{- with $values.priorityClassName | default (ternary (include "rostra.fullname" .ctx) "" .ctx.Values.priorityClass.create) }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $tolerations := $values.tolerations }}
{{- if $values.spot }}
{{- $tolerations = append $tolerations (dict "key" "rostra/spot" "operator" "Equal" "value" "true" "effect" "NoSchedule") }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range $key, $when := dict "topology.kubernetes.io/zone" $values.spread.zone "kubernetes.io/hostname" $values.spread.host }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $when }}
    labelSelector:
      matchLabels:
        {{- include "rostra.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end -}}
