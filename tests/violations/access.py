"""Faults of access: credentials, permissions, and what can be reached from outside.

A value that is not known is on the wire the text `UNKNOWN`, which the engine takes for one.
"""

from pulumi.runtime.rpc import UNKNOWN

from tests.violations.violation import Violation, put

VIOLATIONS = (
    Violation(
        "plain-secret",
        "a password that clients are told in a ConfigMap",
        "ConfigMap/mlflow-client",
        put("correct-horse-battery", "data", "MLFLOW_TRACKING_PASSWORD"),
    ),
    Violation(
        "plain-secret",
        "a password of Redis among the options of Ray",
        "RayCluster/ray-cluster",
        put("correct-horse-battery", "spec", "headGroupSpec", "rayStartParams", "redis-password"),
    ),
    Violation(
        "default-credential",
        "the password that MinIO is delivered with",
        "Secret/database-mlflow",
        put("minioadmin", "stringData", "password"),
    ),
    Violation(
        "credential-source",
        "a value in a Secret that nothing generates",
        "Secret/feast-config",
        put(UNKNOWN, "stringData", "password"),
    ),
    Violation("rbac-min", "every verb", "Role/ray-ready", put(["*"], "rules", 0, "verbs")),
    Violation(
        "rbac-min",
        "cluster-admin for the operator",
        "RoleBinding/kuberay-operator",
        put({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}, "roleRef"),
    ),
    Violation("exposure", "Ray's head on every node", "Service/ray-head", put("NodePort", "spec", "type")),
    Violation(
        "exposure",
        "a listener without TLS",
        "Gateway/ml-platform",
        put("HTTP", "spec", "listeners", 0, "protocol"),
        stacks=("prod",),
    ),
    Violation(
        "sa-token",
        "workers of Ray with a token",
        "RayCluster/ray-cluster",
        put(True, "spec", "workerGroupSpecs", 0, "template", "spec", "automountServiceAccountToken"),
    ),
)
