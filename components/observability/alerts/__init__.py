"""Recording and alerting rules; one module for each part of the platform.

Nothing tells of the policies' undecided findings: the pack runs within a preview, which nobody scrapes.
"""

from components.observability.alerts import (
    feast,
    gateway,
    gpu,
    mesh,
    meta,
    mlflow,
    objectives,
    ray,
    serve,
    stores,
    tenancy,
)
from components.observability.alerts.rule import Group, Watched

__all__ = ["Group", "Watched", "groups"]


def groups(watched: Watched) -> list[Group]:
    """All rules about what a platform has, in groups that have rules."""
    parts = [ray, serve, feast, mlflow, stores, tenancy, objectives, meta]
    optional = [(gpu, watched.gpus), (mesh, watched.mesh), (gateway, watched.gateway)]
    found = [part.group(watched) for part in (*parts, *(part for part, there in optional if there))]
    return [group for group in found if group.rules]
