"""Faults of quotas and of what they count."""

from tests.violations.violation import Violation, put

QUOTA = "ResourceQuota/data-platform-quota"
CLUSTER = "RayCluster/ray-cluster"

VIOLATIONS = (
    Violation("quota-covers-demand", "a quota of two pods", QUOTA, put("2", "spec", "hard", "pods")),
    Violation(
        "quota-covers-demand",
        "a worker group that may grow past the quota",
        CLUSTER,
        put(500, "spec", "workerGroupSpecs", 0, "maxReplicas"),
    ),
    Violation(
        "gpu-runs-image-cuda",
        "an image whose CUDA a K80 cannot run",
        CLUSTER,
        put(
            "ml-platform/ray-gpu:2.60.0-cuda12.1",
            *("spec", "workerGroupSpecs", 1, "template", "spec", "containers", 0, "image"),
        ),
    ),
)
