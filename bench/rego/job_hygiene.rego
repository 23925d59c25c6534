# policies/rules/operations/job_hygiene.py
package main

import data.pods

jobs := {
	"batch/Job": ["spec"],
	"batch/CronJob": ["spec", "jobTemplate", "spec"],
	"ray.io/RayJob": ["spec"],
	"ray.io/RayCronJob": ["spec", "jobTemplate"],
}

deny contains {"msg": "the bound is not said", "rule": "job-hygiene", "path": path} if {
	location := jobs[pods.kind]
	some bound in ["backoffLimit", "activeDeadlineSeconds"]
	not pods.exists(object.get(input, location, {}), bound)
	path := concat(".", array.concat(location, [bound]))
}

deny contains {
	"msg": "it vanishes after its end, and the next update runs it again",
	"rule": "job-hygiene",
	"path": "spec.ttlSecondsAfterFinished",
} if {
	pods.kind == "batch/Job"
	pods.exists(input.spec, "ttlSecondsAfterFinished")
}

deny contains {
	"msg": "a run starts beside one that has not ended",
	"rule": "job-hygiene",
	"path": "spec.concurrencyPolicy",
} if {
	pods.kind == "batch/CronJob"
	object.get(input, ["spec", "concurrencyPolicy"], "Allow") != "Forbid"
}
