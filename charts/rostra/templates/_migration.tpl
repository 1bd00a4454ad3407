{{/* The annotations of what the migration's Job needs: made before it, gone when it has succeeded. */}}
{{- define "rostra.migrationHelper" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: "-10"
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "rostra.migrationCredential" -}}
{{- $one := dict "credential" "userDatabase" "ctx" . "suffix" "-migration" "annotations" (include "rostra.migrationHelper" . | fromYaml) -}}
{{- toYaml (dict "source" (include "rostra.credentialSource" $one) "secret" (include "rostra.credentialSecret" $one)) -}}
{{- end -}}

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
{{- $credential := include "rostra.migrationCredential" . | fromYaml }}
{{- if eq $credential.source "csi" }}
- name: credential
  csi:
    driver: secrets-store.csi.k8s.io
    readOnly: true
    volumeAttributes: {secretProviderClass: {{ $credential.secret }}}
{{- end }}
{{- end -}}

{{- define "rostra.migrationMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.caBundle.configMap }}
- {name: ca, mountPath: /etc/rostra/ca, readOnly: true}
{{- end }}
{{- if eq (include "rostra.migrationCredential" . | fromYaml).source "csi" }}
- {name: credential, mountPath: /run/rostra/user-database, readOnly: true}
{{- end }}
{{- end -}}
