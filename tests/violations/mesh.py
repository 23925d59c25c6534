"""Faults of the mesh and the network: who takes calls from whom, and whether they travel encrypted."""

from typing import Any

from tests.violations.violation import Manifest, Violation, drop, put

NAMESPACE = "data-platform"
CLUSTER = "RayCluster/ray-cluster"
NODES = "Service/ray-nodes"
WORKER = ("spec", "workerGroupSpecs", 0)
ANNOTATIONS = ("template", "metadata", "annotations")
NATIVE = "sidecar.istio.io/nativeSidecar"
NOBODY = {"matchLabels": {"app": "nobody"}}
MLFLOW = {"matchLabels": {"app.kubernetes.io/name": "mlflow"}}
RAY = {"matchLabels": {"ray.io/cluster": "ray-cluster", "ray.io/node-type": "worker"}}


def peer_authentication(name: str, **spec: Any) -> Manifest:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": metadata, "spec": spec}


def allowance(name: str, **spec: Any) -> Manifest:
    rules = [{"from": [{"source": {"namespaces": [NAMESPACE]}}], "to": [{"operation": {"ports": ["5000"]}}]}]
    return {**peer_authentication(name, rules=rules, **spec), "kind": "AuthorizationPolicy"}


VIOLATIONS = (
    Violation(
        "mesh-strict",
        "a namespace that takes plain text",
        "PeerAuthentication/default",
        put("PERMISSIVE", "spec", "mtls", "mode"),
        also=("effective-strict",),
    ),
    Violation(
        "mesh-strict",
        "a namespace that inherits from nobody",
        "PeerAuthentication/default",
        put("UNSET", "spec", "mtls", "mode"),
        also=("effective-strict",),
    ),
    Violation(
        "mesh-strict",
        "a second policy for the whole namespace",
        added=peer_authentication("second", mtls={"mode": "STRICT"}),
    ),
    Violation(
        "effective-strict",
        "Ray's workers take plain text",
        added=peer_authentication("ray-worker", selector=RAY, mtls={"mode": "PERMISSIVE"}),
    ),
    Violation(
        "effective-strict",
        "one port takes plain text",
        added=peer_authentication("mlflow", selector=MLFLOW, portLevelMtls={"5000": {"mode": "PERMISSIVE"}}),
    ),
    Violation(
        "authz-default-deny",
        "a denial of everything that allows everything",
        "AuthorizationPolicy/default-deny",
        put([{}], "spec", "rules"),
    ),
    Violation(
        "authz-default-deny",
        "a policy that lets any identity in",
        "AuthorizationPolicy/feast-server",
        put(["*"], "spec", "rules", 0, "from", 0, "source", "principals"),
    ),
    Violation(
        "authz-default-deny",
        "a policy that lets everyone in without an identity",
        "AuthorizationPolicy/feast-registry",
        drop("spec", "rules", 0, "from"),
    ),
    Violation(
        "dr-tls",
        "clients that send plain text",
        "DestinationRule/mlflow",
        put("DISABLE", "spec", "trafficPolicy", "tls", "mode"),
    ),
    Violation(
        "dr-tls",
        "clients of one of Ray's ports that send plain text",
        "DestinationRule/ray-nodes",
        put([{"port": {"number": 6380}, "tls": {"mode": "DISABLE"}}], "spec", "trafficPolicy", "portLevelSettings"),
    ),
    Violation(
        "dr-tls",
        "workers that refuse the certificate of Ray's head",
        "DestinationRule/ray-nodes",
        put(
            ["spiffe://cluster.local/ns/data-platform/sa/ray-worker"],
            *("spec", "trafficPolicy", "tls", "subjectAltNames"),
        ),
    ),
    Violation(
        "injected",
        "a pod that opts out of the mesh",
        "Deployment/feast-registry",
        put("false", "spec", "template", "metadata", "labels", "sidecar.istio.io/inject"),
    ),
    Violation(
        "injected",
        "a pod that says no, which Istio does not know",
        "Deployment/feast-server",
        put("no", "spec", "template", "metadata", "labels", "sidecar.istio.io/inject"),
    ),
    Violation(
        "injected",
        "a namespace with two labels for injection",
        f"Namespace/{NAMESPACE}",
        put("stable", "metadata", "labels", "istio.io/rev"),
    ),
    Violation(
        "netpol-cover",
        "a denial of some pods only",
        "NetworkPolicy/default-deny",
        put(NOBODY, "spec", "podSelector"),
        also=("no-dangling",),
    ),
    Violation(
        "netpol-cover",
        "pods without DNS",
        "NetworkPolicy/everyone",
        put([], "spec", "egress"),
    ),
    Violation(
        "netpol-cover",
        "a server that the network lets everyone in to",
        "NetworkPolicy/mlflow",
        drop("spec", "ingress", 0, "from"),
    ),
    Violation(
        "job-mesh-safe",
        "a Job that its sidecar would keep",
        "Job/databases",
        put("false", "spec", *ANNOTATIONS, NATIVE),
    ),
    Violation(
        "job-mesh-safe",
        "workers of Ray that wait for the head without a network",
        CLUSTER,
        drop(*WORKER, *ANNOTATIONS, NATIVE),
    ),
    Violation(
        "ray-mesh",
        "a head of Ray that takes any port",
        CLUSTER,
        drop("spec", "headGroupSpec", "rayStartParams", "node-manager-port"),
    ),
    Violation("ray-mesh", "more ports than can be listed", CLUSTER, drop(*WORKER, "rayStartParams", "max-worker-port")),
    Violation("ray-mesh", "a port of Ray that no Service lists", NODES, drop("spec", "ports", -1)),
    Violation(
        "ray-mesh",
        "a Service over Ray that has an address",
        NODES,
        drop("spec", "clusterIP"),
        # Such a Service is waited for.
        also=("await-honest",),
    ),
    Violation(
        "no-bypass",
        "a port that is led past the sidecar",
        "Deployment/mlflow",
        put("5000", "spec", *ANNOTATIONS, "traffic.sidecar.istio.io/excludeInboundPorts"),
    ),
    Violation(
        "no-bypass",
        "workers of Ray without interception",
        CLUSTER,
        put("NONE", *WORKER, *ANNOTATIONS, "sidecar.istio.io/interceptionMode"),
    ),
    Violation(
        "authz-refs",
        "a policy for an account that is not there",
        "AuthorizationPolicy/mlflow",
        put([f"cluster.local/ns/{NAMESPACE}/sa/gone"], "spec", "rules", 0, "from", 0, "source", "principals"),
    ),
    Violation("authz-refs", "a policy for no pod", added=allowance("nobody", selector=NOBODY)),
    Violation(
        "no-dangling",
        "a network policy for no pod",
        "NetworkPolicy/databases",
        put(NOBODY, "spec", "podSelector"),
    ),
    Violation(
        "no-dangling",
        "a Service that leads nowhere",
        "Service/ray-serve",
        put("another", "spec", "selector", "ray.io/cluster"),
    ),
    Violation(
        "no-dangling",
        "a port that no pod has",
        "Service/feast-server",
        put("web", "spec", "ports", 0, "targetPort"),
    ),
    Violation(
        "port-protocol",
        "a port that speaks what Istio does not know",
        "Service/feast-registry",
        put("arrow", "spec", "ports", 0, "appProtocol"),
    ),
)
