{{/*
The credentials: into which variable or folder each goes, and whether it may be absent. A credential's value comes from a
Secret that exists, from one that External Secrets, the Secrets Store CSI driver or cert-manager makes; pods only ever refer
to it. Where `files` are named, a folder has these and no others; a service is told of them by the variables beside them.
*/}}
{{- define "rostra.credentials" -}}
userDatabase: {variable: ROSTRA_USER_DATABASE__URL, key: url}
userDatabaseReplica: {variable: ROSTRA_USER_DATABASE__REPLICA_URL, key: url, optional: true}
userDatabaseLogin:
  folder: /run/rostra/user-database-login
  files: {username: ROSTRA_USER_DATABASE__USER_FILE, password: ROSTRA_USER_DATABASE__PASSWORD_FILE}
  optional: true
userDatabaseTls:
  folder: /run/rostra/user-database-tls
  files: {tls.crt: ROSTRA_USER_DATABASE__TLS_CERTIFICATE_FILE, tls.key: ROSTRA_USER_DATABASE__TLS_KEY_FILE}
  optional: true
historyDatabase: {variable: ROSTRA_HISTORY_DATABASE__URL, key: url}
redis: {variable: ROSTRA_%s_REDIS__URL, key: url}
provider: {variable: OPENAI_API_KEY, key: api-key, optional: true}
invitationCode: {variable: ROSTRA_USER_INVITATION_CODE, key: code, optional: true}
signingKeys: {folder: /run/rostra/signing-keys}
gatewayCertificate: &certificate {folder: /run/rostra/certificate, files: {tls.crt: "", tls.key: "", ca.crt: ""}, optional: true}
chatCertificate: *certificate
historyCertificate: *certificate
userCertificate: *certificate
{{- end -}}

{{/* The credentials of a component, and of the migration: (dict "component" "chat" "ctx" $). */}}
{{- define "rostra.credentialsOf" -}}
{{- if eq .component "migration" -}}
{{- list "userDatabase" "userDatabaseLogin" "userDatabaseTls" | toJson -}}
{{- else -}}
{{- (include "rostra.component" . | fromJson).credentials | toJson -}}
{{- end -}}
{{- end -}}

{{/* Where a credential comes from: `existingSecret`, `externalSecret`, `csi`, `certManager`, or nothing:
     (dict "credential" "redis" "ctx" $). The services' certificates (`…Certificate`) have none while they speak without TLS. */}}
{{- define "rostra.credentialSource" -}}
{{- $it := get .ctx.Values.credentials .credential -}}
{{- $isService := hasSuffix "Certificate" .credential -}}
{{- if and $isService (not .ctx.Values.mutualTls.enabled) }}
{{- else if $it.existingSecret.name }}existingSecret
{{- else if $it.externalSecret.remoteKey }}externalSecret
{{- else if or $it.csi.objectName $it.csi.files }}csi
{{- else if and $isService .ctx.Values.mutualTls.certManager.issuer.name }}certManager
{{- end -}}
{{- end -}}

{{/* Name and key of the Secret that holds a credential. `suffix` sets apart what a hook makes for itself. */}}
{{- define "rostra.credentialSecret" -}}
{{- $existing := (get .ctx.Values.credentials .credential).existingSecret -}}
{{- if $existing.name }}{{ $existing.name }}
{{- else }}{{ include "rostra.fullname" .ctx }}-{{ kebabcase .credential }}{{ .suffix }}
{{- end -}}
{{- end -}}

{{- define "rostra.credentialKey" -}}
{{- $it := get .ctx.Values.credentials .credential -}}
{{- $default := (get (include "rostra.credentials" .ctx | fromYaml) .credential).key -}}
{{- if $it.existingSecret.name }}{{ $it.existingSecret.key | default $default }}{{ else }}{{ $default }}{{ end -}}
{{- end -}}

{{/* The variables of a component that come from Secrets. */}}
{{- define "rostra.credentialEnvironment" -}}
{{- $all := include "rostra.credentials" .ctx | fromYaml -}}
{{- range include "rostra.credentialsOf" . | fromJsonArray }}
{{- $one := dict "credential" . "ctx" $.ctx "suffix" ($.suffix | default "") }}
{{- $it := get $all . }}
{{- if include "rostra.credentialSource" $one }}
{{- with $it.variable }}
- name: {{ . | replace "%s" (upper $.component) }}
  valueFrom:
    secretKeyRef: {name: {{ include "rostra.credentialSecret" $one }}, key: {{ include "rostra.credentialKey" $one }}}
{{- end }}
{{- range $file, $variable := $it.files }}
{{- if $variable }}
- {name: {{ $variable }}, value: {{ $it.folder }}/{{ $file }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The volumes of a component that credentials need: folders of keys, and the CSI driver's, which makes their Secrets. */}}
{{- define "rostra.credentialVolumes" -}}
{{- $all := include "rostra.credentials" .ctx | fromYaml -}}
{{- range include "rostra.credentialsOf" . | fromJsonArray }}
{{- $one := dict "credential" . "ctx" $.ctx "suffix" ($.suffix | default "") }}
{{- $source := include "rostra.credentialSource" $one }}
{{- if eq $source "csi" }}
- name: credential-{{ kebabcase . | lower }}
  csi:
    driver: secrets-store.csi.k8s.io
    readOnly: true
    volumeAttributes: {secretProviderClass: {{ include "rostra.credentialSecret" $one }}}
{{- else if and $source (get $all .).folder }}
- name: credential-{{ kebabcase . | lower }}
  secret:
    secretName: {{ include "rostra.credentialSecret" $one }}
    defaultMode: 288
    {{- with (get $all .).files }}
    items:
      {{- range $file, $_ := . }}
      - {key: {{ $file }}, path: {{ $file }}}
      {{- end }}
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rostra.credentialMounts" -}}
{{- $all := include "rostra.credentials" .ctx | fromYaml -}}
{{- range include "rostra.credentialsOf" . | fromJsonArray }}
{{- $source := include "rostra.credentialSource" (dict "credential" . "ctx" $.ctx) }}
{{- $folder := (get $all .).folder }}
{{- if and $source (or $folder (eq $source "csi")) }}
- {name: credential-{{ kebabcase . | lower }}, mountPath: {{ $folder | default (printf "/run/rostra/%s" (kebabcase . | lower)) }}, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{/* An ExternalSecret for a credential: (dict "credential" "redis" "ctx" $ "suffix" "" "annotations" dict). */}}
{{- define "rostra.externalSecret" -}}
{{- $it := (get .ctx.Values.credentials .credential).externalSecret -}}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ include "rostra.credentialSecret" . }}
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "rostra.labels" (dict "ctx" .ctx) | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  refreshInterval: {{ .ctx.Values.externalSecrets.refreshInterval }}
  secretStoreRef:
    {{- toYaml .ctx.Values.externalSecrets.store | nindent 4 }}
  target: {name: {{ include "rostra.credentialSecret" . }}, creationPolicy: Owner, deletionPolicy: Retain}
  {{- if (get (include "rostra.credentials" .ctx | fromYaml) .credential).folder }}
  dataFrom:
    - extract: {key: {{ $it.remoteKey | quote }}}
  {{- else }}
  data:
    - secretKey: {{ include "rostra.credentialKey" . }}
      remoteRef:
        key: {{ $it.remoteKey | quote }}
        {{- with $it.property }}
        property: {{ . | quote }}
        {{- end }}
  {{- end }}
{{- end -}}

{{/* A SecretProviderClass for a credential, with the Secret that the driver makes of it; the same parameters. */}}
{{- define "rostra.secretProviderClass" -}}
{{- $it := (get .ctx.Values.credentials .credential).csi -}}
{{- $own := get (include "rostra.credentials" .ctx | fromYaml) .credential -}}
{{- $folder := $own.folder -}}
{{- $key := include "rostra.credentialKey" . -}}
{{- $objects := list -}}
{{- if $own.files -}}
{{- $paths := list -}}
{{- range $file, $_ := $own.files -}}
{{- $paths = append $paths (dict "path" (quote $file) "objectAlias" $file) -}}
{{- end -}}
{{- $objects = list (dict "objectName" $it.objectName "objectType" "secretsmanager" "jmesPath" $paths) -}}
{{- else if $folder -}}
{{- range $file, $object := $it.files -}}
{{- $objects = append $objects (dict "objectName" $object "objectType" "secretsmanager" "objectAlias" $file) -}}
{{- end -}}
{{- else if $it.property -}}
{{- $paths := list (dict "path" $it.property "objectAlias" $key) -}}
{{- $objects = list (dict "objectName" $it.objectName "objectType" "secretsmanager" "jmesPath" $paths) -}}
{{- else -}}
{{- $objects = list (dict "objectName" $it.objectName "objectType" "secretsmanager" "objectAlias" $key) -}}
{{- end -}}
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: {{ include "rostra.credentialSecret" . }}
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "rostra.labels" (dict "ctx" .ctx) | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  provider: {{ .ctx.Values.csi.provider }}
  parameters:
    {{- with .ctx.Values.csi.parameters }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    objects: |
      {{- toYaml $objects | nindent 6 }}
  {{- if not $folder }}
  secretObjects:
    - secretName: {{ include "rostra.credentialSecret" . }}
      type: Opaque
      data:
        - {objectName: {{ $key }}, key: {{ $key }}}
  {{- end }}
{{- end -}}
