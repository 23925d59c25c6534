"""Clusters of Ray inside the custom resources of KubeRay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.view import Node, Resource

KINDS: Final = frozenset(("ray.io", kind) for kind in ("RayCluster", "RayCronJob", "RayJob", "RayService"))

_CLUSTER: Final = {
    "RayCluster": ("spec",),
    "RayService": ("spec", "rayClusterConfig"),
    "RayJob": ("spec", "rayClusterSpec"),
    "RayCronJob": ("spec", "jobTemplate", "rayClusterSpec"),
}
_JOB: Final = {"RayJob": ("spec",), "RayCronJob": ("spec", "jobTemplate")}
_RELEASE: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_TAG: Final = re.compile(r"([0-9]+\.[0-9]+\.[0-9]+)([.-].*)?")


def clusters(resource: Resource) -> Iterator[Node]:
    """The spec of the cluster that a resource of KubeRay makes; none where a job selects one that runs."""
    if (resource.group, resource.kind) in KINDS:
        cluster = resource.body.get(*_CLUSTER[resource.kind])
        if cluster.exists():
            yield cluster


def jobs(resource: Resource) -> Iterator[Node]:
    """The spec of the job in a RayJob or RayCronJob."""
    if resource.group == "ray.io" and resource.kind in _JOB:
        yield resource.body.get(*_JOB[resource.kind])


def groups(cluster: Node) -> list[Node]:
    """The head group and the worker groups."""
    return [cluster.get("headGroupSpec"), *cluster.get("workerGroupSpecs").items()]


def release(text: str) -> tuple[int, ...] | None:
    """`2.52.0` as numbers that compare; None for anything else."""
    return tuple(map(int, text.split("."))) if _RELEASE.fullmatch(text) else None


def in_tag(tag: str) -> str:
    """The release that a tag of a Ray image starts with, as in `2.60.0-py311-gpu`; empty where it says none."""
    match = _TAG.fullmatch(tag)
    return match[1] if match else ""
