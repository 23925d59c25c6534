# policies/rules/quota/resources_set.py, with its default settings: a CPU limit is optional.
package main

import data.pods

required := {"requests.cpu", "requests.memory", "limits.memory"}

quantity := `^\+?([0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?$`

deny contains {
	"msg": sprintf("%s is not stated", [concat(", ", sort(missing))]),
	"rule": "resources-set",
	"path": sprintf("%s.resources", [found.path]),
} if {
	some template in pods.templates
	of_the_pod := amounts(object.get(template.pod, ["spec", "resources"], {}))
	some found in pods.containers(template, ["containers", "initContainers"]) | {added | some added in template.added}
	missing := (required - amounts(object.get(found.container, "resources", {}))) - of_the_pod
	count(missing) > 0
}

# The amounts of more than zero; a limit without a request is the request too.
amounts(resources) := {sprintf("limits.%s", [name]) | some name in limits} | {sprintf("requests.%s", [name]) |
	some name in asked
} if {
	limits := {name | some name, amount in resources.limits; positive(amount)}
	requests := {name | some name, _ in resources.requests}
	asked := {name | some name, amount in resources.requests; positive(amount)} | (limits - requests)
}

positive(amount) if {
	digits := regex.find_all_string_submatch_n(quantity, sprintf("%v", [amount]), 1)[0][1]
	regex.match("[1-9]", digits)
}
