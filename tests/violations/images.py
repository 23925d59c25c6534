"""Faults of images: which ones run where, and whether they stay what they are."""

from tests.violations.violation import Violation, put

CLUSTER, OPERATOR, SERVER = "RayCluster/ray-cluster", "Deployment/kuberay-operator", "Deployment/mlflow"
IMAGE = ("spec", "template", "spec", "containers", 0, "image")
HEAD = ("spec", "headGroupSpec", "template", "spec")

VIOLATIONS = (
    Violation("image-role", "Ray's image as the operator", OPERATOR, put("rayproject/ray:2.60.0", *IMAGE)),
    Violation(
        "image-role",
        "an operator that starts by another command",
        OPERATOR,
        put(["ray", "start"], "spec", "template", "spec", "containers", 0, "command"),
    ),
    Violation("image-role", "a release of Ray that its images are not", CLUSTER, put("2.59.0", "spec", "rayVersion")),
    Violation(
        "ray-version-features",
        "a head that is started again under autoscaler v2",
        CLUSTER,
        put("OnFailure", *HEAD, "restartPolicy"),
    ),
    Violation("image-pinned", "a tag that moves", SERVER, put("ml-platform/mlflow:latest", *IMAGE)),
    Violation(
        "image-registry",
        "a registry whose name begins like a trusted one",
        SERVER,
        put("quay.io.evil.com/kuberay/mlflow:3.17.2", *IMAGE),
    ),
    Violation(
        "big-image",
        "an image that takes longer to pull than the update waits",
        CLUSTER,
        put("rayproject/ray-ml:2.60.0", *HEAD, "containers", 0, "image"),
    ),
)
