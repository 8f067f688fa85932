{{/* What all pods and containers of this release have in common. */}}

{{/* The container security that the Pod Security Standard "restricted" asks for, and a read-only root. */}}
{{- define "penstock.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "penstock.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Where a component's pods run: include with (list . "gateway" .Values.gateway). */}}
{{- define "penstock.placement" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
topologySpreadConstraints:
{{- if $values.topologySpreadConstraints }}
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . | quote }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "penstock.selector" (list $root (index $ 1)) | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* An HTTP probe: include with (list "http" "/readyz" 5 3): port, path, period in seconds, failures. */}}
{{- define "penstock.probe" -}}
httpGet: {path: {{ index . 1 | quote }}, port: {{ index . 0 | quote }}}
periodSeconds: {{ index . 2 }}
timeoutSeconds: 5
failureThreshold: {{ index . 3 }}
{{- end -}}

{{/* The startup, readiness and liveness probes of our processes, on the port of this name: a crowded node may take a minute to start one. */}}
{{- define "penstock.probes" -}}
startupProbe:
  {{- include "penstock.probe" (list . "/healthz" 2 60) | nindent 2 }}
readinessProbe:
  {{- include "penstock.probe" (list . "/readyz" 2 3) | nindent 2 }}
livenessProbe:
  {{- include "penstock.probe" (list . "/healthz" 10 6) | nindent 2 }}
{{- end -}}
