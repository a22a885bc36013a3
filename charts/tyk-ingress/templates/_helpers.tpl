{{- define "tyk-ingress.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for the longest suffix, "-redirector". */}}
{{- define "tyk-ingress.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "tyk-ingress.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tyk-ingress.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "tyk-ingress.redirectorName" -}}
{{- include "tyk-ingress.fullname" . }}-redirector
{{- end }}

{{/* Service, Secret and ValidatingWebhookConfiguration of the webhook. */}}
{{- define "tyk-ingress.webhookName" -}}
{{- include "tyk-ingress.fullname" . }}-admission
{{- end }}

{{- define "tyk-ingress.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: tyk-ingress
{{- end }}

{{/* What the selectors of one component share; they can never change. Takes (dict "root" $ "component" NAME). */}}
{{- define "tyk-ingress.selector" -}}
app.kubernetes.io/name: {{ include "tyk-ingress.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "tyk-ingress.operatorSelector" -}}
{{- include "tyk-ingress.selector" (dict "root" . "component" "operator") }}
{{- end }}

{{- define "tyk-ingress.redirectorSelector" -}}
{{- include "tyk-ingress.selector" (dict "root" . "component" "redirector") }}
{{- end }}

{{- define "tyk-ingress.operatorLabels" -}}
{{ include "tyk-ingress.operatorSelector" . }}
{{ include "tyk-ingress.labels" . }}
{{- end }}

{{- define "tyk-ingress.redirectorLabels" -}}
{{ include "tyk-ingress.redirectorSelector" . }}
{{ include "tyk-ingress.labels" . }}
{{- end }}

{{- define "tyk-ingress.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tyk-ingress.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "tyk-ingress.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- with $registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{- define "tyk-ingress.redirectorUrl" -}}
{{- if .Values.redirectorUrl -}}
{{- .Values.redirectorUrl }}
{{- else if .Values.redirector.enabled -}}
http://{{ include "tyk-ingress.redirectorName" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.redirector.port }}
{{- end }}
{{- end }}

{{/*
Arguments of the operator. A flag whose setting has a variable too (TYK_*, WATCH_*) is only given when its value is set,
because it would win over the variable of the Secret.
*/}}
{{- define "tyk-ingress.args" -}}
{{- $redirector := include "tyk-ingress.redirectorUrl" . -}}
{{- if and (eq .Values.httpForTlsHosts "redirect") (not $redirector) -}}
{{- fail "httpForTlsHosts: redirect needs redirector.enabled: true, or redirectorUrl" }}
{{- end -}}
- run
- --listen={{ .Values.listenHost }}:{{ .Values.metricsPort }}
- --cluster-domain={{ .Values.clusterDomain }}
- --http-for-tls-hosts={{ .Values.httpForTlsHosts }}
- --server-header={{ .Values.serverHeader }}
- --cross-namespace-contexts={{ .Values.crossNamespaceContexts }}
- --resync-interval={{ .Values.resyncInterval }}
- --debounce={{ .Values.debounce }}
- --controller-name={{ .Values.ingressClass.controller }}
- --leader-election-namespace={{ .Release.Namespace }}
{{- if ne .Values.ingressClass.name "tyk" }}
- --ingress-class={{ .Values.ingressClass.name }}
{{- end }}
{{- with .Values.watchNamespaces }}
- --watch-namespace={{ join "," . }}
{{- end }}
{{- with .Values.owner }}
- --owner={{ . }}
{{- end }}
{{- with $redirector }}
- --redirector-url={{ . }}
{{- end }}
{{- with .Values.publishService }}
- --publish-service={{ . }}
{{- end }}
{{- range .Values.publishAddresses }}
- --publish-address={{ . }}
{{- end }}
{{- if .Values.webhooks.enabled }}
- --admission-listen={{ .Values.listenHost }}:{{ .Values.webhooks.port }}
- --admission-name={{ include "tyk-ingress.webhookName" . }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* Constraints with the selector of their component, unless they bring one. Takes (dict "constraints" LIST "selector" TEXT). */}}
{{- define "tyk-ingress.topologySpread" -}}
{{- $constraints := list -}}
{{- range .constraints -}}
{{- $selector := dict "matchLabels" (fromYaml $.selector) -}}
{{- $constraints = append $constraints (ternary . (set (deepCopy .) "labelSelector" $selector) (hasKey . "labelSelector")) -}}
{{- end -}}
{{- toYaml $constraints }}
{{- end }}

{{/* What the pods of all components share below `spec`. Takes (dict "root" $ "selector" TEXT). */}}
{{- define "tyk-ingress.podSpec" -}}
{{- $values := .root.Values -}}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.imagePullSecrets }}
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
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- include "tyk-ingress.topologySpread" (dict "constraints" . "selector" $.selector) | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- end }}
