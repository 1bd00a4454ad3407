{{/* A component's Service. Those of gRPC are headless: clients balance over the pods' own addresses. Service and
     container ports are the same, which some network plugins' policies rely on. */}}
{{- define "rostra.service" -}}
{{- $it := include "rostra.component" . | fromJson -}}
{{- $isHttp := eq $it.portName "http" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "rostra.metadata" . | nindent 2 }}
  {{- if and $isHttp .ctx.Values.service.annotations }}
  annotations:
    {{- toYaml .ctx.Values.service.annotations | nindent 4 }}
  {{- end }}
spec:
  type: {{ ternary .ctx.Values.service.type "ClusterIP" $isHttp }}
  {{- if not $isHttp }}
  clusterIP: None
  {{- end }}
  selector:
    {{- include "rostra.selector" . | nindent 4 }}
  ports:
    - {name: {{ $it.portName }}, port: {{ $it.port }}, targetPort: {{ $it.portName }}, appProtocol: {{ $it.portName }}}
    {{- if not (and $isHttp (ne .ctx.Values.service.type "ClusterIP")) }}
    - {name: metrics, port: {{ include "rostra.metricsPort" . }}, targetPort: metrics, appProtocol: http}
    {{- end }}
{{- end -}}

{{- define "rostra.serviceAccount" -}}
{{- $account := (include "rostra.values" . | fromJson).serviceAccount -}}
{{- if $account.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "rostra.metadata" . | replace (printf "name: %s\n" (include "rostra.name" .)) (printf "name: %s\n" (include "rostra.serviceAccountName" .)) | nindent 2 }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
{{- end -}}
