# policies/rules/access/sa_token.py, with its default settings.
package main

import data.pods

token_users := {"kuberay-operator", "ray-head", "ray-ready"}

deny contains {
	"msg": "every pod of this account mounts its token",
	"rule": "sa-token",
	"path": "automountServiceAccountToken",
} if {
	pods.kind == "/ServiceAccount"
	mounts(input)
}

deny contains {"msg": "this token never expires", "rule": "sa-token", "path": "type"} if {
	pods.kind == "/Secret"
	input.type == "kubernetes.io/service-account-token"
}

deny contains {"msg": "the pods run as default", "rule": "sa-token", "path": path} if {
	some template in pods.templates
	spec := template.pod.spec
	object.get(spec, "serviceAccountName", object.get(spec, "serviceAccount", "default")) == "default"
	path := sprintf("%s.serviceAccountName", [template.path])
}

deny contains {"msg": "the pods mount a token that nobody uses", "rule": "sa-token", "path": path} if {
	some template in pods.templates
	spec := template.pod.spec
	mounts(spec)
	not object.get(spec, "serviceAccountName", "default") in token_users
	path := sprintf("%s.automountServiceAccountToken", [template.path])
}

mounts(where) if not pods.exists(where, "automountServiceAccountToken")

mounts(where) if where.automountServiceAccountToken == true
