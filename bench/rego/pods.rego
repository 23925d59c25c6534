# The pod templates inside every kind of workload, as policies/pods.py has them.
#
# What KubeRay adds by itself always states its resources, so only an autoscaler of the program's own size is in here.
package pods

moved := {
	"DaemonSet": "apps",
	"Deployment": "apps",
	"Ingress": "networking.k8s.io",
	"NetworkPolicy": "networking.k8s.io",
	"ReplicaSet": "apps",
}

stated := concat("/", array.slice(parts, 0, count(parts) - 1)) if parts := split(input.apiVersion, "/")

default group := ""

group := moved[input.kind] if stated == "extensions"

else := stated

kind := sprintf("%s/%s", [group, input.kind])

locations := {
	"/Pod": [],
	"/ReplicationController": ["spec", "template"],
	"apps/Deployment": ["spec", "template"],
	"apps/StatefulSet": ["spec", "template"],
	"apps/DaemonSet": ["spec", "template"],
	"apps/ReplicaSet": ["spec", "template"],
	"batch/Job": ["spec", "template"],
	"batch/CronJob": ["spec", "jobTemplate", "spec", "template"],
	"keda.sh/ScaledJob": ["spec", "jobTargetRef", "template"],
}

# Each with the path of its spec, and with what is put beside its containers.
templates contains {"path": path, "pod": pod, "added": []} if {
	location := locations[kind]
	pod := object.get(input, location, {})
	path := concat(".", array.concat(location, ["spec"]))
}

templates contains {
	"path": sprintf("%s.headGroupSpec.template.spec", [cluster.path]),
	"pod": cluster.spec.headGroupSpec.template,
	"added": autoscaler(cluster.spec),
} if {
	some cluster in clusters
}

templates contains {
	"path": sprintf("%s.workerGroupSpecs[%d].template.spec", [cluster.path, index]),
	"pod": group.template,
	"added": [],
} if {
	some cluster in clusters
	some index, group in cluster.spec.workerGroupSpecs
}

templates contains {
	"path": sprintf("%s.submitterPodTemplate.spec", [job.path]),
	"pod": job.spec.submitterPodTemplate,
	"added": [],
} if {
	object.get(job.spec, "submissionMode", "K8sJobMode") == "K8sJobMode"
}

job := {"path": "spec", "spec": input.spec} if kind == "ray.io/RayJob"

job := {"path": "spec.jobTemplate", "spec": input.spec.jobTemplate} if kind == "ray.io/RayCronJob"

# The specs of Ray clusters whose pods an object makes.
clusters contains {"path": "spec", "spec": input.spec} if kind == "ray.io/RayCluster"

clusters contains {"path": "spec.rayClusterConfig", "spec": input.spec.rayClusterConfig} if kind == "ray.io/RayService"

clusters contains {"path": sprintf("%s.rayClusterSpec", [job.path]), "spec": job.spec.rayClusterSpec} if {
	not selects_a_cluster
}

selects_a_cluster if count(job.spec.clusterSelector) > 0

autoscaler(spec) := [{"path": "(autoscaler)", "container": {"resources": spec.autoscalerOptions.resources}}] if {
	spec.enableInTreeAutoscaling == true
	spec.autoscalerOptions.resources != null
} else := []

# Containers of a template under these keys of its spec, each with its path.
containers(template, keys) := {found |
	some key in keys
	some index, container in template.pod.spec[key]
	found := {"path": sprintf("%s.%s[%d]", [template.path, key, index]), "container": container}
}

exists(object_, key) if object_[key] != null
