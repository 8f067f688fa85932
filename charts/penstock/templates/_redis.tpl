{{/* Redis: whose it is, and the secrets with which it is reached. */}}

{{- define "penstock.redisSecret" -}}
{{- default (include "penstock.redis" .) .Values.redis.existingSecret -}}
{{- end -}}

{{/* One address in the Secret as an environment variable: include with (list . "PENSTOCK_REDIS_URL" "gateway-url"). */}}
{{- define "penstock.redisEnv" -}}
- name: {{ index . 1 | quote }}
  valueFrom:
    secretKeyRef:
      name: {{ include "penstock.redisSecret" (index . 0) | quote }}
      key: {{ index . 2 | quote }}
{{- end -}}

{{/* How much is kept in Redis and who must have it, for gateway, operator and, through it, workers. */}}
{{- define "penstock.keepingEnv" -}}
- {name: PENSTOCK_ENDED_TASK_SECONDS, value: {{ int64 .Values.retention.endedTaskSeconds | quote }}}
- {name: PENSTOCK_IDEMPOTENCY_SECONDS, value: {{ int64 .Values.retention.idempotencySeconds | quote }}}
- {name: PENSTOCK_EFFECTS_SECONDS, value: {{ int64 .Values.retention.effectsSeconds | quote }}}
- {name: PENSTOCK_EVIDENCE_SECONDS, value: {{ int64 .Values.retention.evidenceSeconds | quote }}}
- {name: PENSTOCK_EVIDENCE_ROWS, value: {{ int64 .Values.retention.evidenceRows | quote }}}
{{- if eq .Values.redis.durability "Replicated" }}
- {name: PENSTOCK_REDIS_REPLICAS, value: {{ int64 .Values.redis.replicas | quote }}}
- {name: PENSTOCK_REDIS_REPLICA_TIMEOUT_MS, value: {{ int64 .Values.redis.replicaTimeoutMilliseconds | quote }}}
{{- end }}
{{- end -}}

{{/* The authority of an external Redis: environment, mount and volume, each empty without one. */}}
{{- define "penstock.redisCAEnv" -}}
{{- if .Values.redis.tls.caSecret }}
- name: PENSTOCK_REDIS_CA_FILE
  value: /etc/penstock/redis-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "penstock.redisCAMount" -}}
{{- if .Values.redis.tls.caSecret }}
- name: redis-ca
  mountPath: /etc/penstock/redis-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "penstock.redisCAVolume" -}}
{{- if .Values.redis.tls.caSecret }}
- name: redis-ca
  secret:
    secretName: {{ .Values.redis.tls.caSecret | quote }}
    items:
      - {key: ca.crt, path: ca.crt}
{{- end }}
{{- end -}}

{{/*
A password that was drawn once: the one in a Secret of the cluster, else a new one, the same for all
templates of this rendering. Include with (list . "<secret>" "<key>" 40).
*/}}
{{- define "penstock.drawn" -}}
{{- $root := index . 0 -}}
{{- $secret := index . 1 -}}
{{- $key := index . 2 -}}
{{- $place := printf "%s/%s" $secret $key -}}
{{- if not (hasKey $root.Values "drawn") }}{{ $_ := set $root.Values "drawn" dict }}{{ end -}}
{{- if not (hasKey $root.Values.drawn $place) -}}
{{- $live := (lookup "v1" "Secret" $root.Release.Namespace $secret).data | default dict -}}
{{- $value := randAlphaNum (int (index . 3)) -}}
{{- if hasKey $live $key }}{{ $value = index $live $key | b64dec }}{{ end -}}
{{- $_ := set $root.Values.drawn $place $value -}}
{{- end -}}
{{- index $root.Values.drawn $place -}}
{{- end -}}

{{/* The password of a user of the bundled Redis: include with (list . "operator"). */}}
{{- define "penstock.redisPassword" -}}
{{- $root := index . 0 -}}
{{- include "penstock.drawn" (list $root (include "penstock.redis" $root) (printf "%s-password" (index . 1)) 40) -}}
{{- end -}}
