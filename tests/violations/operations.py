"""Faults of how an update applies, waits and ends."""

from tests.violations.violation import Violation, drop, put

VIOLATIONS = (
    Violation(
        "await-honest",
        "a server that nobody waits for",
        "Deployment/mlflow",
        put("true", "metadata", "annotations", "pulumi.com/skipAwait"),
    ),
    Violation(
        "custom-resource-awaited",
        "a cluster whose pods nobody asks for",
        "Job/ray-ready",
        put(True, "spec", "suspend"),
    ),
    Violation(
        "no-blind-release",
        "a chart that hides what it installs",
        added={
            "apiVersion": "helm.cattle.io/v1",
            "kind": "HelmChart",
            "metadata": {"name": "minio", "namespace": "data-platform"},
            "spec": {"chart": "minio", "repo": "https://charts.example"},
        },
        also=("crd-first",),
    ),
    Violation(
        "crd-first",
        "an object of a kind that nobody has installed",
        added={
            "apiVersion": "feast.dev/v1",
            "kind": "FeatureStore",
            "metadata": {"name": "features", "namespace": "data-platform"},
            "spec": {"feastProject": "ml"},
        },
    ),
    Violation(
        "apply-mode",
        "an update that takes fields from their owners",
        "Deployment/mlflow",
        put("true", "metadata", "annotations", "pulumi.com/patchForce"),
    ),
    Violation(
        "job-hygiene",
        "a migration that may hang for ever",
        "Job/mlflow-migrate",
        drop("spec", "activeDeadlineSeconds"),
    ),
    Violation(
        "job-hygiene",
        "a migration that vanishes and runs again",
        "Job/mlflow-migrate",
        put(60, "spec", "ttlSecondsAfterFinished"),
    ),
)
