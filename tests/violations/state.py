"""Faults of what holds data, and of what reads a configuration."""

from tests.violations.violation import Violation, drop, put

_RETENTION = ("spec", "persistentVolumeClaimRetentionPolicy")

VIOLATIONS = (
    Violation(
        "no-orphan-pvc",
        "a store that does not say what becomes of its disk",
        "StatefulSet/postgres",
        drop(*_RETENTION, "whenScaled"),
        stacks=("dev",),
    ),
    Violation(
        "stateful-protect",
        "a store that is kept and not protected",
        "StatefulSet/postgres",
        put("Retain", *_RETENTION, "whenDeleted"),
        stacks=("dev",),
        also=("backup-present",),
    ),
    Violation(
        "backup-present",
        "a store that is kept and not backed up",
        "StatefulSet/redis",
        put("Retain", *_RETENTION, "whenDeleted"),
        stacks=("dev",),
        also=("stateful-protect",),
    ),
    Violation(
        "feast-registry-shared",
        "two registry servers over a file",
        "Secret/feast-config",
        put("project: ml\nregistry: data/registry.db\n", "stringData", "feature_store.yaml"),
        stacks=("prod",),
    ),
    Violation(
        "config-rolls-pods",
        "a configuration that changes under MLflow",
        "Deployment/mlflow",
        drop("spec", "template", "metadata", "annotations", "ml-platform/config-hash"),
    ),
)
