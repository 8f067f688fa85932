{{/* Names, labels and images. */}}

{{- define "penstock.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- include "penstock.serviceName" .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- include "penstock.serviceName" .Release.Name -}}
{{- else -}}
{{- include "penstock.serviceName" (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- end -}}

{{/*
A name of which those of Services are made: letters, digits and "-", a letter first, at most 50 characters. What is
none (Helm lets a release be called 2024 or my.release) is made one, with a digest that keeps it apart from its like.
*/}}
{{- define "penstock.serviceName" -}}
{{- $cut := . | trunc 50 | trimSuffix "-" -}}
{{- if regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $cut -}}
{{- $cut -}}
{{- else -}}
{{- $letters := regexReplaceAll "[^a-z0-9]+" (lower .) "-" | trimAll "-" -}}
{{- if not (regexMatch "^[a-z]" $letters) }}{{ $letters = printf "r%s" $letters }}{{ end -}}
{{- printf "%s-%s" ($letters | trunc 41 | trimAll "-") (sha256sum . | trunc 8) -}}
{{- end -}}
{{- end -}}

{{- define "penstock.operator" -}}{{ include "penstock.fullname" . }}-operator{{- end -}}
{{- define "penstock.gateway" -}}{{ include "penstock.fullname" . }}-gateway{{- end -}}
{{/* A StatefulSet's name and a digest are a label of its pods: together at most 63 characters. */}}
{{- define "penstock.redis" -}}
{{- $name := printf "%s-redis" (include "penstock.fullname" .) -}}
{{- if le (len $name) 52 }}{{ $name }}{{ else }}{{ printf "%s-%s-redis" (include "penstock.fullname" . | trunc 37 | trimAll "-") (include "penstock.fullname" . | sha256sum | trunc 8) }}{{ end -}}
{{- end -}}
{{- define "penstock.prices" -}}{{ include "penstock.fullname" . }}-prices{{- end -}}
{{- define "penstock.model" -}}{{ include "penstock.fullname" . }}-model{{- end -}}

{{/* What selects the pods of a component: include with (list . "gateway"). */}}
{{- define "penstock.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 | quote }}
{{- end -}}

{{/* All labels of a component's objects. */}}
{{- define "penstock.labels" -}}
{{- $root := index . 0 -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/part-of: penstock
app.kubernetes.io/version: {{ $root.Chart.AppVersion | replace "+" "_" | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_") | trunc 63 | trimAll "-_." | quote }}
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
{{- printf "%s:%s" $repository (default ($root.Chart.AppVersion | replace "+" "_") $image.tag) -}}
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

{{/* The operator's mount and volume of your own prices, each empty without any. */}}
{{- define "penstock.pricesMount" -}}
{{- if .Values.prices }}
- name: prices
  mountPath: /etc/penstock/prices
  readOnly: true
{{- end }}
{{- end -}}

{{- define "penstock.pricesVolume" -}}
{{- if .Values.prices }}
- name: prices
  configMap: {name: {{ include "penstock.prices" . | quote }}}
{{- end }}
{{- end -}}

{{/* The targets of gateway.webhooks as the gateway reads them; empty without any. */}}
{{- define "penstock.webhooks" -}}
{{- if .Values.gateway.webhooks -}}
{{- $found := dict -}}
{{- range $name, $target := .Values.gateway.webhooks -}}
{{- $_ := set $found $name (merge (dict "secret" (printf "/etc/penstock/webhooks/%s" $name)) $target) -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}
{{- end -}}

{{/* The Prometheus servers of operator.prometheus as the operator reads them; empty without any. */}}
{{- define "penstock.prometheus" -}}
{{- if .Values.operator.prometheus -}}
{{- $found := dict -}}
{{- range $name, $server := .Values.operator.prometheus -}}
{{- $told := dict "url" $server.url "namespaces" $server.namespaces -}}
{{- with $server.namespaceLabel }}{{ $_ := set $told "namespace_label" . }}{{ end -}}
{{- if $server.credentialsSecret }}{{ $_ := set $told "credentials" (printf "/etc/penstock/prometheus/%s" $name) }}{{ end -}}
{{- $_ := set $found $name $told -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}
{{- end -}}

{{/* The operator's mounts and volumes of their credentials, each empty without any. */}}
{{- define "penstock.prometheusMounts" -}}
{{- range $name, $server := .Values.operator.prometheus }}
{{- if $server.credentialsSecret }}
- name: prometheus-{{ $name }}
  mountPath: /etc/penstock/prometheus/{{ $name }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "penstock.prometheusVolumes" -}}
{{- range $name, $server := .Values.operator.prometheus }}
{{- if $server.credentialsSecret }}
- name: prometheus-{{ $name }}
  secret: {secretName: {{ $server.credentialsSecret | quote }}}
{{- end }}
{{- end }}
{{- end -}}
