# policies/rules/mesh/port_protocol.py
package main

import data.pods

names := {"http", "http2", "https", "grpc", "grpc-web", "tls", "tcp", "mongo", "mysql", "redis"}

standard := {"kubernetes.io/h2c", "kubernetes.io/ws", "kubernetes.io/wss"}

services := {
	"/Service": [[]],
	"ray.io/RayCluster": [["spec", "headGroupSpec", "headService"]],
	"ray.io/RayService": [["spec", "serveService"], ["spec", "rayClusterConfig", "headGroupSpec", "headService"]],
	"ray.io/RayJob": [["spec", "rayClusterSpec", "headGroupSpec", "headService"]],
	"ray.io/RayCronJob": [["spec", "jobTemplate", "rayClusterSpec", "headGroupSpec", "headService"]],
}

deny contains {"msg": "Istio does not know what the port speaks", "rule": "port-protocol", "path": path} if {
	some location in services[pods.kind]
	service := object.get(input, location, {})
	object.get(service, ["spec", "type"], "") != "ExternalName"
	some index, port in service.spec.ports
	object.get(port, "protocol", "TCP") == "TCP"
	not understood(port)
	path := sprintf("%s[%d].%s", [concat(".", array.concat(location, ["spec", "ports"])), index, telling(port)])
}

telling(port) := "appProtocol" if pods.exists(port, "appProtocol")

else := "name"

understood(port) if known(port[telling(port)])

understood(port) if port.appProtocol in standard

known(text) if startswith(lower(text), "grpc-web")

known(text) if split(lower(text), "-")[0] in names
