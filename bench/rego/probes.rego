# policies/rules/availability/probes.py
package main

import data.pods

serving := {
	"/ReplicationController", "apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "apps/ReplicaSet",
	"ray.io/RayCluster", "ray.io/RayService",
}

deny contains {"msg": "it declares ports and has no such probe", "rule": "probes", "path": path} if {
	pods.kind in serving
	pods.group != "ray.io"
	some template in pods.templates
	some found in pods.containers(template, ["containers"])
	count(found.container.ports) > 0
	some probe in ["readinessProbe", "livenessProbe"]
	not pods.exists(found.container, probe)
	path := sprintf("%s.%s", [found.path, probe])
}

deny contains {"msg": "both probes ask the same", "rule": "probes", "path": path} if {
	pods.kind in serving
	some template in pods.templates
	some found in pods.containers(template, ["containers"])
	ready := found.container.readinessProbe
	alive := found.container.livenessProbe
	ready != null
	alive != null
	asks(ready) == asks(alive)
	patience(alive) <= patience(ready)
	path := sprintf("%s.livenessProbe", [found.path])
}

deny contains {"msg": "it asks a port that is not declared", "rule": "probes", "path": path} if {
	pods.kind in serving
	some template in pods.templates
	numbers := {object.get(port, "containerPort", 0) |
		some found in pods.containers(template, ["containers", "initContainers"])
		some port in found.container.ports
	}
	some found in pods.containers(template, ["containers"])
	names := {object.get(port, "name", "") | some port in found.container.ports}
	some probe in ["readinessProbe", "livenessProbe", "startupProbe"]
	some handler in ["httpGet", "tcpSocket", "grpc"]
	port := found.container[probe][handler].port
	port != null
	not port in (names | numbers)
	path := sprintf("%s.%s.%s.port", [found.path, probe, handler])
}

asks(probe) := [
	object.get(probe, ["httpGet", "path"], ""),
	object.get(probe, ["httpGet", "port"], null),
	object.get(probe, ["tcpSocket", "port"], null),
	object.get(probe, ["grpc", "port"], null),
	object.get(probe, ["grpc", "service"], ""),
	object.get(probe, ["exec", "command"], []),
]

patience(probe) := object.get(probe, "periodSeconds", 10) * object.get(probe, "failureThreshold", 3)
