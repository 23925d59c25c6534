"""Where a RayCluster is written: by itself, or inside of what makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.view import Node, Resource

_SPECS: Final[dict[str, tuple[str, ...]]] = {
    "RayCluster": (),
    "RayService": ("rayClusterConfig",),
    "RayJob": ("rayClusterSpec",),
    "RayCronJob": ("jobTemplate", "rayClusterSpec"),
}
KINDS: Final = frozenset(("ray.io", kind) for kind in _SPECS)
"""Every kind that holds the spec of a RayCluster."""


def cluster_spec(resource: Resource) -> Node:
    """The spec of the cluster; a node that holds None where the object selects a cluster that runs."""
    return resource.body.get("spec", *_SPECS[resource.kind])


def groups(resource: Resource) -> Iterator[Node]:
    """The head's group and the worker groups."""
    spec = cluster_spec(resource)
    if spec.exists():
        yield spec.get("headGroupSpec")
        yield from spec.get("workerGroupSpecs").items()
