{{- define "rostra.validateCredential" -}}
{{- $key := printf "credentials.%s" .credential -}}
{{- $it := get .ctx.Values.credentials .credential -}}
{{- $sources := list -}}
{{- $certManager := not (empty .ctx.Values.mutualTls.certManager.issuer.name) -}}
{{- if $it.existingSecret.name }}{{ $sources = append $sources "existingSecret.name" }}{{ end -}}
{{- if $it.externalSecret.remoteKey }}{{ $sources = append $sources "externalSecret.remoteKey" }}{{ end -}}
{{- if or $it.csi.objectName $it.csi.files }}{{ $sources = append $sources "csi" }}{{ end -}}
{{- if hasSuffix "Certificate" .credential -}}
{{- if $certManager }}{{ $sources = append $sources "mutualTls.certManager.issuer.name" }}{{ end -}}
{{- if and $sources (not .ctx.Values.mutualTls.enabled) -}}
{{- fail (printf "%s: a source, and mutualTls.enabled is false. Enable it, or remove the source." (ternary "mutualTls.certManager.issuer.name" $key $certManager)) -}}
{{- end -}}
{{- if and (not $sources) .ctx.Values.mutualTls.enabled -}}
{{- fail (printf "%s: no source, and mutualTls.enabled is true. Set one of %s.existingSecret.name, %s.externalSecret.remoteKey, %s.csi.objectName, or mutualTls.certManager.issuer.name for all services." $key $key $key $key) -}}
{{- end -}}
{{- end -}}
{{- if and (not $sources) (not .it.optional) -}}
{{- fail (printf "%s: no source. Set one of %s.existingSecret.name, %s.externalSecret.remoteKey, %s.csi.%s. Rostra has no default secrets." $key $key $key $key (ternary "files" "objectName" (not (empty .it.folder)))) -}}
{{- end -}}
{{- if gt (len $sources) 1 -}}
{{- fail (printf "%s: more than one source: %s. Keep one." $key (join ", " $sources)) -}}
{{- end -}}
{{- if and $it.externalSecret.remoteKey (not .ctx.Values.externalSecrets.store.name) -}}
{{- fail (printf "externalSecrets.store.name: missing, and %s.externalSecret needs it. Name a SecretStore or ClusterSecretStore." $key) -}}
{{- end -}}
{{- end -}}

{{- define "rostra.validateComponent" -}}
{{- $values := include "rostra.values" . | fromJson -}}
{{- $c := .component -}}
{{- $stop := $values.shutdown -}}
{{- $needed := add $stop.preStopSeconds $stop.endpointRemovalSeconds $stop.drainSeconds 10 -}}
{{- if lt (int $stop.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "%s.shutdown.terminationGracePeriodSeconds: %v is too short. preStopSeconds + endpointRemovalSeconds + drainSeconds + 10 s to close are %v s; pods would be killed in mid-stream." $c $stop.terminationGracePeriodSeconds $needed) -}}
{{- end -}}
{{- if and $values.spot (gt (int $stop.terminationGracePeriodSeconds) 110) -}}
{{- fail (printf "%s.spot: spot nodes leave after 120 s, and %s.shutdown.terminationGracePeriodSeconds is %v. Make it 110 or less, with a shorter drainSeconds." $c $c $stop.terminationGracePeriodSeconds) -}}
{{- end -}}
{{- if and (ne $c "gateway") (le (int $stop.preStopSeconds) (int .ctx.Values.dns.cacheSeconds)) -}}
{{- fail (printf "%s.shutdown.preStopSeconds: %v must be above dns.cacheSeconds (%v). Its clients find pods by DNS; a leaving pod has to serve until they can have found its successor." $c $stop.preStopSeconds .ctx.Values.dns.cacheSeconds) -}}
{{- end -}}
{{- $scaling := $values.autoscaling -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- fail (printf "%s.autoscaling: minReplicas %v is above maxReplicas %v." $c $scaling.minReplicas $scaling.maxReplicas) -}}
{{- end -}}
{{- if and $scaling.enabled (not (dig "requests" "cpu" "" $values.resources)) -}}
{{- fail (printf "%s.resources.requests.cpu: missing, and %s.autoscaling measures against it." $c $c) -}}
{{- end -}}
{{- if and $scaling.enabled (not (dig "requests" "memory" "" $values.resources)) -}}
{{- fail (printf "%s.resources.requests.memory: missing, and %s.autoscaling measures against it." $c $c) -}}
{{- end -}}
{{- if and $scaling.keda.queries (not $scaling.keda.prometheusUrl) -}}
{{- fail (printf "%s.autoscaling.keda.prometheusUrl: missing, and %s.autoscaling.keda.queries are asked there." $c $c) -}}
{{- end -}}
{{- if and (eq (toString $values.rollout.maxSurge) "0") (eq (toString $values.rollout.maxUnavailable) "0") -}}
{{- fail (printf "%s.rollout: maxSurge and maxUnavailable are both 0; nothing could ever be replaced." $c) -}}
{{- end -}}
{{- if and (not $values.serviceAccount.create) (not $values.serviceAccount.name) -}}
{{- fail (printf "%s.serviceAccount.name: missing, and create is false. Name the service account to use." $c) -}}
{{- end -}}
{{- end -}}

{{/* heartbeat < CloudFront's 30 s < the ALB's idle time < the gateway's keep-alive, and the ALB waits for drains. */}}
{{- define "rostra.validateLadder" -}}
{{- $alb := .Values.ingress.alb -}}
{{- $gateway := include "rostra.values" (dict "component" "gateway" "ctx" .) | fromJson -}}
{{- $heartbeat := default 12 $gateway.settings.heartbeatSeconds -}}
{{- $keepAlive := default 75 $gateway.settings.keepAliveSeconds -}}
{{- if and .Values.ingress.enabled (eq .Values.ingress.className "alb") -}}
{{- if ge (float64 $heartbeat) (float64 $alb.idleTimeoutSeconds) -}}
{{- fail (printf "gateway.settings.heartbeatSeconds: %v must be below ingress.alb.idleTimeoutSeconds (%v), or the load balancer cuts silent streams." $heartbeat $alb.idleTimeoutSeconds) -}}
{{- end -}}
{{- if and $alb.cloudFront (ge (float64 $heartbeat) 30.0) -}}
{{- fail (printf "gateway.settings.heartbeatSeconds: %v must be below CloudFront's 30 s, or it cuts silent streams." $heartbeat) -}}
{{- end -}}
{{- if le (float64 $keepAlive) (float64 $alb.idleTimeoutSeconds) -}}
{{- fail (printf "gateway.settings.keepAliveSeconds: %v must be above ingress.alb.idleTimeoutSeconds (%v), or clients get 502 from connections that the gateway has just closed." $keepAlive $alb.idleTimeoutSeconds) -}}
{{- end -}}
{{- $leaving := add $gateway.shutdown.preStopSeconds $gateway.shutdown.endpointRemovalSeconds $gateway.shutdown.drainSeconds -}}
{{- if lt (int $alb.deregistrationDelaySeconds) (int $leaving) -}}
{{- fail (printf "ingress.alb.deregistrationDelaySeconds: %v is shorter than a gateway takes to leave, %v s (preStopSeconds + endpointRemovalSeconds + drainSeconds); the load balancer would cut its streams." $alb.deregistrationDelaySeconds $leaving) -}}
{{- end -}}
{{- end -}}
{{- $longest := default 3600 (dig "request" "maxSeconds" nil $gateway.settings) -}}
{{- $abandoned := default 4200 .Values.history.settings.abandonedAfterSeconds -}}
{{- if le (float64 $abandoned) (float64 $longest) -}}
{{- fail (printf "history.settings.abandonedAfterSeconds: %v must be above gateway.settings.request.maxSeconds (%v), or running responses are taken for abandoned." $abandoned $longest) -}}
{{- end -}}
{{- end -}}

{{/* Pods at their most, each with all its connections, must fit what a database allows: 80 % of MySQL's, 70 % of DocumentDB's. */}}
{{- define "rostra.validateConnections" -}}
{{- $limits := .Values.connectionLimits -}}
{{- $database := default dict .Values.user.settings.database -}}
{{- $mysql := mul (include "rostra.maxReplicas" (dict "component" "user" "ctx" .) | int) (add (default 5 $database.poolSize) (ternary $database.poolOverflow 5 (hasKey $database "poolOverflow"))) -}}
{{- if and $limits.mysql (gt (int $mysql) (div (mul (int $limits.mysql) 8) 10 | int)) -}}
{{- fail (printf "connectionLimits.mysql: user's pods may open %v connections, more than 80 %% of %v. Lower user.autoscaling.maxReplicas or user.settings.database.poolSize and poolOverflow." $mysql $limits.mysql) -}}
{{- end -}}
{{- $each := default 50 (dig "database" "maxConnections" nil .Values.history.settings) -}}
{{- $documentdb := mul (include "rostra.maxReplicas" (dict "component" "history" "ctx" .) | int) (int $each) -}}
{{- if and $limits.documentdb (gt (int $documentdb) (div (mul (int $limits.documentdb) 7) 10 | int)) -}}
{{- fail (printf "connectionLimits.documentdb: history's pods may open %v connections, more than 70 %% of %v. Lower history.autoscaling.maxReplicas or history.settings.database.maxConnections." $documentdb $limits.documentdb) -}}
{{- end -}}
{{- end -}}

{{- define "rostra.maxReplicas" -}}
{{- $values := include "rostra.values" . | fromJson -}}
{{- ternary $values.autoscaling.maxReplicas $values.replicas $values.autoscaling.enabled -}}
{{- end -}}

{{- define "rostra.validateEntrance" -}}
{{- $ingress := .Values.ingress -}}
{{- if and $ingress.enabled (not $ingress.host) -}}
{{- fail "ingress.host: missing. Name the host under which clients reach the API." -}}
{{- end -}}
{{- if and $ingress.enabled (eq $ingress.className "alb") (not $ingress.alb.certificateArn) -}}
{{- fail "ingress.alb.certificateArn: missing. API keys travel over this listener: give it a certificate of ACM." -}}
{{- end -}}
{{- if and .Values.gatewayApi.enabled (not .Values.gatewayApi.parentRefs) -}}
{{- fail "gatewayApi.parentRefs: missing. Name the Gateway that the route belongs to." -}}
{{- end -}}
{{- if and (eq .Values.user.settings.registration "invited") (not (include "rostra.credentialSource" (dict "credential" "invitationCode" "ctx" .))) -}}
{{- fail "credentials.invitationCode: no source, and user.settings.registration is `invited`." -}}
{{- end -}}
{{- if and .Values.mutualTls.enabled .Values.istio.enabled -}}
{{- fail "mutualTls.enabled: true, and istio.enabled too. The mesh encrypts and checks already: keep one." -}}
{{- end -}}
{{- if and (include "rostra.credentialSource" (dict "credential" "userDatabaseTls" "ctx" .)) (not .Values.caBundle.configMap) -}}
{{- fail "credentials.userDatabaseTls: a source, and caBundle.configMap is empty. TLS to MySQL is on when there are authorities to check it by: name them." -}}
{{- end -}}
{{- if and .Values.development.writableRoot (ne .Values.environment "development") -}}
{{- fail "development.writableRoot: true, and environment is not `development`." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.clients) -}}
{{- fail "networkPolicy.clients: empty, so nobody could call the API. Name the load balancer's subnets or the pods of your ingress controller." -}}
{{- end -}}
{{- end -}}
