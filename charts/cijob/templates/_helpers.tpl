{{- define "cijob.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "cijob.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "cijob.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "cijob.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "cijob.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cijob.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "cijob.labels" -}}
{{ include "cijob.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "cijob.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "cijob.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* The name of an image: (dict "image" VALUES "tag" DEFAULT_TAG). A digest wins over a tag. */ -}}
{{- define "cijob.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest }}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .tag .image.tag) }}
{{- end }}
{{- end }}

{{- /* Resources as the operator's settings write them: cpu=100m,memory=128Mi */ -}}
{{- define "cijob.requests" -}}
{{- $pairs := list }}
{{- range $name, $quantity := . }}
{{- $pairs = append $pairs (printf "%s=%s" $name (toString $quantity)) }}
{{- end }}
{{- join "," $pairs }}
{{- end }}

{{- define "cijob.addressPools" -}}
{{- $pools := list }}
{{- range . }}
{{- $pools = append $pools (printf "%s/%d" .base (int .size)) }}
{{- end }}
{{- join "," $pools }}
{{- end }}

{{- /* What the operator does in the cluster, whichever namespaces it serves. */ -}}
{{- define "cijob.clusterRules" -}}
# Watch the pools, and say in their status how they are used.
- apiGroups: [cijob.dev]
  resources: [buildpools]
  verbs: [get, list, watch]
- apiGroups: [cijob.dev]
  resources: [buildpools/status]
  verbs: [patch]
# The labels that a pool's namespaceSelector asks for.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- end }}

{{- /* What the operator does in a namespace, each right with its use. No Secrets: the kubelet reads those. */ -}}
{{- define "cijob.operatorRules" -}}
# Watch the CiJobs; delete one when its time to live is over.
- apiGroups: [cijob.dev]
  resources: [cijobs]
  verbs: [get, list, watch, delete]
# Write the outcome.
- apiGroups: [cijob.dev]
  resources: [cijobs/status]
  verbs: [patch]
# Own Pods with blockOwnerDeletion, where the API server checks that.
- apiGroups: [cijob.dev]
  resources: [cijobs/finalizers]
  verbs: [update]
# Run the jobs; a Pod is patched to be stopped.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
# The last lines of a service that was not ready, for the verdict.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# One Event at the verdict.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}
