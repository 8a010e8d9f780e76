{{- /* Every setting of the operator (operator/cijob/settings.py); a test holds the two together. */ -}}
{{- define "cijob.environment" -}}
- name: CIJOB_OPERATOR_DIND_IMAGE
  value: {{ include "cijob.image" (dict "image" .Values.dind.image "tag" "29-dind") | quote }}
- name: CIJOB_OPERATOR_DIND_IMAGE_PULL_POLICY
  value: {{ .Values.dind.image.pullPolicy | quote }}
- name: CIJOB_OPERATOR_GIT_IMAGE
  value: {{ if .Values.git.image.repository }}{{ include "cijob.image" (dict "image" .Values.git.image "tag" "latest") | quote }}{{ else }}""{{ end }}
- name: CIJOB_OPERATOR_GIT_IMAGE_PULL_POLICY
  value: {{ .Values.git.image.pullPolicy | quote }}
- name: CIJOB_OPERATOR_REGISTRY_MIRRORS
  value: {{ join "," .Values.dind.registryMirrors | quote }}
- name: CIJOB_OPERATOR_INSECURE_REGISTRIES
  value: {{ join "," .Values.dind.insecureRegistries | quote }}
- name: CIJOB_OPERATOR_MTU
  value: {{ ternary "" (.Values.dind.mtu | int | toString) (eq (int .Values.dind.mtu) 0) | quote }}
- name: CIJOB_OPERATOR_ADDRESS_POOLS
  value: {{ include "cijob.addressPools" .Values.dind.addressPools | quote }}
- name: CIJOB_OPERATOR_JOB_REQUESTS
  value: {{ include "cijob.requests" .Values.defaults.job.requests | quote }}
- name: CIJOB_OPERATOR_DIND_REQUESTS
  value: {{ include "cijob.requests" .Values.defaults.dind.requests | quote }}
- name: CIJOB_OPERATOR_SERVICE_REQUESTS
  value: {{ include "cijob.requests" .Values.defaults.service.requests | quote }}
- name: CIJOB_OPERATOR_DEFAULT_TIMEOUT_SECONDS
  value: {{ int .Values.defaults.timeoutSeconds | quote }}
- name: CIJOB_OPERATOR_DEFAULT_TTL_SECONDS
  value: {{ int .Values.defaults.ttlSecondsAfterFinished | quote }}
- name: CIJOB_OPERATOR_TERMINATION_GRACE_SECONDS
  value: {{ int .Values.terminationGraceSeconds | quote }}
- name: CIJOB_OPERATOR_WAITING_GRACE_SECONDS
  value: {{ int .Values.waitingGraceSeconds | quote }}
- name: CIJOB_OPERATOR_ON_NODE_LOST
  value: {{ .Values.onNodeLost | quote }}
- name: CIJOB_OPERATOR_NODE_LOST_GRACE_SECONDS
  value: {{ int .Values.nodeLostGraceSeconds | quote }}
- name: CIJOB_OPERATOR_LEASE_NAMESPACE
  value: {{ .Release.Namespace | quote }}
- name: CIJOB_OPERATOR_LEASE_NAME
  value: {{ include "cijob.fullname" . | quote }}
- name: CIJOB_OPERATOR_RELIST_SECONDS
  value: {{ int .Values.relistSeconds | quote }}
- name: CIJOB_OPERATOR_NAMESPACES
  value: {{ join "," .Values.namespaces | quote }}
- name: CIJOB_OPERATOR_HEALTH_PORT
  value: "8080"
- name: CIJOB_OPERATOR_LOG_FORMAT
  value: {{ .Values.log.format | quote }}
- name: CIJOB_OPERATOR_LOG_LEVEL
  value: {{ .Values.log.level | quote }}
{{- end }}
