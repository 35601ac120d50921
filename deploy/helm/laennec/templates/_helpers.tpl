{{- define "laennec.name" -}}
{{- printf "%s-%s" .Release.Name .Values.role | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "laennec.selector" -}}
app.kubernetes.io/name: laennec-{{ .Values.role }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "laennec.labels" -}}
{{ include "laennec.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "laennec.image" -}}
{{- $image := printf "%s-%s:%s" .Values.image.repository .Values.role .Values.image.tag -}}
{{- if .Values.image.digest }}{{ printf "%s@%s" $image .Values.image.digest }}{{ else }}{{ $image }}{{ end -}}
{{- end -}}

{{- define "laennec.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
