{{/*
The components, each fact about them once: where they listen, whom they call, which credentials they use, and to which
of the outside's doors (networkPolicy.<door>) they go. Targets, NetworkPolicies and the mesh's policies follow from it.
*/}}
{{- define "rostra.components" -}}
gateway:
  port: 8080
  portName: http
  calls: [user, chat, history]
  credentials: [redis]
  doors: [redis, telemetry]
chat:
  port: 50051
  portName: grpc
  calls: [history, user]
  credentials: [redis, provider]
  doors: [redis, telemetry]
history:
  port: 50051
  portName: grpc
  calls: []
  credentials: [historyDatabase]
  doors: [documentdb, telemetry]
user:
  port: 50051
  portName: grpc
  calls: [history]
  credentials: [userDatabase, redis, signingKeys, invitationCode]
  doors: [mysql, redis, telemetry]
{{- end -}}

{{- define "rostra.component" -}}
{{- get (include "rostra.components" . | fromYaml) .component | toYaml -}}
{{- end -}}

{{/* Those that call a component. */}}
{{- define "rostra.callers" -}}
{{- $callers := list -}}
{{- range $name, $it := include "rostra.components" . | fromYaml -}}
{{- if has $.component $it.calls -}}{{- $callers = append $callers $name -}}{{- end -}}
{{- end -}}
{{- toYaml $callers -}}
{{- end -}}

{{/* The values of a component: its own over the defaults; lists are replaced, not joined. */}}
{{- define "rostra.values" -}}
{{- mergeOverwrite (deepCopy .ctx.Values.defaults) (get .ctx.Values .component) | toYaml -}}
{{- end -}}

{{- define "rostra.metricsPort" -}}9090{{- end -}}

{{/* The gRPC target of a component: all its pods, found by DNS, on the port that they listen on. */}}
{{- define "rostra.target" -}}
{{- printf "dns:///%s.%s.svc.%s:%v" (include "rostra.name" .) .ctx.Release.Namespace .ctx.Values.clusterDomain (include "rostra.component" . | fromYaml).port -}}
{{- end -}}

{{/* The image of a component, by digest when there is one. */}}
{{- define "rostra.image" -}}
{{- $image := (include "rostra.values" . | fromYaml).image -}}
{{- $images := .ctx.Values.images -}}
{{- $repository := $image.repository | default (printf "rostra-%s" .component) -}}
{{- if $images.registry -}}{{- $repository = printf "%s/%s" (trimSuffix "/" $images.registry) $repository -}}{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default $images.tag | default .ctx.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
