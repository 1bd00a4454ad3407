{{/* What the AWS Load Balancer Controller is told; takes the root context. */}}
{{- define "rostra.albAnnotations" -}}
{{- $alb := .Values.ingress.alb -}}
alb.ingress.kubernetes.io/scheme: {{ $alb.scheme }}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]'
alb.ingress.kubernetes.io/ssl-redirect: "443"
alb.ingress.kubernetes.io/ssl-policy: {{ $alb.sslPolicy }}
{{- with $alb.certificateArn }}
alb.ingress.kubernetes.io/certificate-arn: {{ . }}
{{- end }}
{{- with $alb.groupName }}
alb.ingress.kubernetes.io/group.name: {{ . }}
{{- end }}
{{- with $alb.wafAclArn }}
alb.ingress.kubernetes.io/wafv2-acl-arn: {{ . }}
{{- end }}
{{- with $alb.securityGroups }}
alb.ingress.kubernetes.io/security-groups: {{ join "," . }}
{{- end }}
alb.ingress.kubernetes.io/healthcheck-path: /readyz
alb.ingress.kubernetes.io/healthcheck-interval-seconds: "10"
alb.ingress.kubernetes.io/healthcheck-timeout-seconds: "5"
alb.ingress.kubernetes.io/healthy-threshold-count: "2"
alb.ingress.kubernetes.io/unhealthy-threshold-count: "2"
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds={{ $alb.idleTimeoutSeconds }},routing.http.drop_invalid_header_fields.enabled=true
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds={{ $alb.deregistrationDelaySeconds }},load_balancing.algorithm.type=least_outstanding_requests
{{- end -}}
