{{/* Names, labels and images. */}}

{{- define "penstock.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "penstock.operator" -}}{{ include "penstock.fullname" . }}-operator{{- end -}}
{{- define "penstock.gateway" -}}{{ include "penstock.fullname" . }}-gateway{{- end -}}
{{- define "penstock.redis" -}}{{ include "penstock.fullname" . }}-redis{{- end -}}
{{- define "penstock.model" -}}{{ include "penstock.fullname" . }}-model{{- end -}}

{{/* What selects the pods of a component: include with (list . "gateway"). */}}
{{- define "penstock.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of a component's objects. */}}
{{- define "penstock.labels" -}}
{{- $root := index . 0 -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/part-of: penstock
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* Labels of a component's pods: nothing that changes with every release, so that nothing restarts for a label. */}}
{{- define "penstock.podLabels" -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/part-of: penstock
{{- end -}}

{{/* Reference of one of our images: include with (list . .Values.operator.image). */}}
{{- define "penstock.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $repository := list $root.Values.image.registry $image.repository | compact | join "/" -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Labels of worker pods, wherever they are. */}}
{{- define "penstock.workers" -}}
app.kubernetes.io/managed-by: penstock
{{- end -}}

{{/* Where workers reach the model when their Agent names no address. */}}
{{- define "penstock.modelURL" -}}
{{- if .Values.model.url -}}
{{- .Values.model.url -}}
{{- else if .Values.demo.enabled -}}
{{- printf "http://%s.%s.svc" (include "penstock.model" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}
