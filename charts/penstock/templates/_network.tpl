{{/* Parts of NetworkPolicies. */}}

{{/* The policy's head: include with (list . "gateway"); the ingress follows. */}}
{{- define "penstock.networkPolicy" -}}
{{- $root := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "penstock.fullname" $root }}-{{ index . 1 }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "penstock.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "penstock.selector" . | nindent 6 }}
  policyTypes:
    - Ingress
    {{- if $root.Values.networkPolicy.egress }}
    - Egress
    {{- end }}
{{- end -}}

{{/* DNS may be in pods, or on the node outside of all of them; in OpenShift its pods listen on 5353. */}}
{{- define "penstock.egressDNS" -}}
- ports:
    {{- range list 53 5353 }}
    - {protocol: UDP, port: {{ . | int64 }}}
    - {protocol: TCP, port: {{ . | int64 }}}
    {{- end }}
{{- end -}}

{{/* The API server may be anywhere: it is told by its ports. */}}
{{- define "penstock.egressAPIServer" -}}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {protocol: TCP, port: {{ . | int64 }}}
    {{- end }}
{{- end -}}

{{/* The bundled Redis, or yours wherever it is, by its ports. */}}
{{- define "penstock.egressRedis" -}}
{{- if .Values.redis.bundled -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Release.Namespace | quote }}
      podSelector:
        matchLabels:
          {{- include "penstock.selector" (list . "redis") | nindent 10 }}
  ports:
    - {protocol: TCP, port: 6379}
{{- else -}}
- ports:
    {{- range .Values.networkPolicy.redisPorts }}
    - {protocol: TCP, port: {{ . | int64 }}}
    {{- end }}
{{- end -}}
{{- end -}}
