{{/*
The components, each fact about them once: where they listen, whom they call, which credentials they use, and to which
of the outside's doors (networkPolicy.<door>) they go. Targets, NetworkPolicies and the mesh's policies follow from it.
*/}}
{{- define "rostra.components" -}}
gateway:
  port: 8080
  portName: http
  calls: [user, chat, history]
  credentials: [redis, gatewayCertificate]
  doors: [redis, telemetry]
chat:
  port: 50051
  portName: grpc
  calls: [history, user]
  credentials: [redis, provider, chatCertificate]
  doors: [redis, telemetry]
history:
  port: 50051
  portName: grpc
  calls: []
  credentials: [historyDatabase, historyCertificate]
  doors: [documentdb, telemetry]
user:
  port: 50051
  portName: grpc
  calls: [history]
  credentials:
    - userDatabase
    - userDatabaseReplica
    - userDatabaseLogin
    - userDatabaseTls
    - redis
    - signingKeys
    - invitationCode
    - userCertificate
  doors: [mysql, redis, telemetry]
{{- end -}}

{{- define "rostra.component" -}}
{{- get (include "rostra.components" . | fromYaml) .component | toJson -}}
{{- end -}}

{{/* Those that call a component. */}}
{{- define "rostra.callers" -}}
{{- $callers := list -}}
{{- range $name, $it := include "rostra.components" . | fromYaml -}}
{{- if has $.component $it.calls -}}{{- $callers = append $callers $name -}}{{- end -}}
{{- end -}}
{{- toJson $callers -}}
{{- end -}}

{{/* The values of a component: its own over the defaults; lists are replaced, not joined. */}}
{{- define "rostra.values" -}}
{{- mergeOverwrite (deepCopy .ctx.Values.defaults) (get .ctx.Values .component) | toJson -}}
{{- end -}}

{{- define "rostra.metricsPort" -}}9090{{- end -}}

{{/* Where a gRPC service answers health checks, and nothing else, when all else is mutual TLS: kubelets have no certificate. */}}
{{- define "rostra.healthPort" -}}50052{{- end -}}

{{/* The name of a component in DNS, which its certificate must have. */}}
{{- define "rostra.host" -}}
{{- printf "%s.%s.svc.%s" (include "rostra.name" .) .ctx.Release.Namespace .ctx.Values.clusterDomain -}}
{{- end -}}

{{/* The gRPC target of a component: all its pods, found by DNS, on the port that they listen on. */}}
{{- define "rostra.target" -}}
{{- printf "dns:///%s:%v" (include "rostra.host" .) (include "rostra.component" . | fromJson).port -}}
{{- end -}}

{{/* The image of a component, by digest when there is one. */}}
{{- define "rostra.image" -}}
{{- $image := (include "rostra.values" . | fromJson).image -}}
{{- $images := .ctx.Values.images -}}
{{- $repository := $image.repository | default (printf "rostra-%s" .component) -}}
{{- if $images.registry -}}{{- $repository = printf "%s/%s" (trimSuffix "/" $images.registry) $repository -}}{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default $images.tag | default .ctx.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
