{{/* The annotations of what the migration's Job needs: made before it, gone when it has succeeded. */}}
{{- define "rostra.migrationHelper" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: "-10"
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* What a hook makes of the migration's credentials has this suffix: the release's own come too late. */}}
{{- define "rostra.migrationVolumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if .Values.caBundle.configMap }}
- name: ca
  configMap:
    name: {{ .Values.caBundle.configMap }}
    items:
      - {key: {{ .Values.caBundle.key }}, path: ca.pem}
{{- end }}
{{- include "rostra.credentialVolumes" (dict "component" "migration" "ctx" . "suffix" "-migration") }}
{{- end -}}

{{- define "rostra.migrationMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.caBundle.configMap }}
- {name: ca, mountPath: /etc/rostra/ca, readOnly: true}
{{- end }}
{{- include "rostra.credentialMounts" (dict "component" "migration" "ctx" .) }}
{{- end -}}
