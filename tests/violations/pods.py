"""Faults of pods: what their processes may do to the node and to each other."""

from tests.violations.violation import Violation, drop, put

CONTEXT = ("spec", "template", "spec", "containers", 0, "securityContext")

VIOLATIONS = (
    Violation(
        "pod-security",
        "a server that may get more privileges",
        "Deployment/mlflow",
        put(True, *CONTEXT, "allowPrivilegeEscalation"),
    ),
    Violation(
        "pod-security",
        "an autoscaler of Ray that may do anything",
        "RayCluster/ray-cluster",
        drop("spec", "autoscalerOptions", "securityContext"),
    ),
    Violation(
        "pod-security",
        "a namespace that enforces nothing",
        "Namespace/data-platform",
        drop("metadata", "labels", "pod-security.kubernetes.io/enforce"),
    ),
)
