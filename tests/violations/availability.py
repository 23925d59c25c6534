"""Faults of what keeps a server there."""

from tests.violations.violation import Violation, drop, put

_CONTAINER = ("spec", "template", "spec", "containers", 0)

VIOLATIONS = (
    Violation(
        "probes", "a server that never says it is ready", "Deployment/mlflow", drop(*_CONTAINER, "readinessProbe")
    ),
    Violation(
        "probes",
        "a server that is killed for being busy",
        "Deployment/mlflow",
        put(3, *_CONTAINER, "livenessProbe", "failureThreshold"),
    ),
    Violation(
        "pdb-sane",
        "a budget that lets no node be drained",
        "PodDisruptionBudget/mlflow",
        put(0, "spec", "maxUnavailable"),
    ),
    Violation(
        "spread",
        "all pods of MLflow on one node",
        "Deployment/mlflow",
        drop("spec", "template", "spec", "affinity"),
        stacks=("prod",),
    ),
)
