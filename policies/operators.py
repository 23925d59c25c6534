"""Pods and claims that operators other than KubeRay make of their custom resources, as far as quotas count them.

Sources: prometheus-operator cmd/operator/main.go (sizes of the config-reloader), pkg/prometheus/statefulset.go (shards
and replicas); cloudnative-pg api/v1/cluster_types.go (instances, storage, walStorage).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.pods import PodTemplate
from policies.view import Node, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.decode import Plain

_MONITORING: Final = "monitoring.coreos.com"
_MAIN: Final = {
    (_MONITORING, "Prometheus"): "prometheus",
    (_MONITORING, "PrometheusAgent"): "prometheus",
    (_MONITORING, "Alertmanager"): "alertmanager",
    (_MONITORING, "ThanosRuler"): "thanos-ruler",
    ("postgresql.cnpg.io", "Cluster"): "postgres",
}
"""The container that has `spec.resources`."""
KINDS: Final = frozenset(_MAIN)
_RELOADER: Final[Plain] = {
    "requests": {"cpu": "10m", "memory": "50Mi"},
    "limits": {"cpu": "10m", "memory": "50Mi"},
}


def replicas(spec: Node) -> int:
    """Pods of one custom resource: instances of PostgreSQL, replicas of each shard of Prometheus."""
    if spec.get("instances").exists():
        return spec.get("instances").integer(1)
    return spec.get("replicas").integer(1) * max(1, spec.get("shards").integer(1))


def templates(resource: Resource) -> Iterator[PodTemplate]:
    """The pods of the custom resource; what it says of the operator's own containers is merged into them by name."""
    main, spec = _MAIN[resource.group, resource.kind], resource.body.get("spec")
    monitoring = resource.group == _MONITORING
    own = {node.get("name").text(): node for node in spec.get("containers").items()}
    metadata = spec.get("podMetadata" if monitoring else "inheritedMetadata")
    sizes = {main: spec.get("resources")} | ({"config-reloader": Node(_RELOADER)} if monitoring else {})
    added = [
        _container(name, own[name].get("resources") if _is_sized(own.get(name)) else size)
        for name, size in sizes.items()
    ]
    rest: list[Plain] = [node.raw for name, node in own.items() if name not in sizes]
    pod: dict[str, Plain] = {
        "containers": rest,
        "initContainers": spec.get("initContainers").raw,
        "priorityClassName": spec.get("priorityClassName").raw,
    }
    yield PodTemplate(
        "",
        Node({"metadata": metadata.raw, "spec": pod}, "", spec.hidden),
        added=tuple(added),
        added_init=(_container("init-config-reloader", Node(_RELOADER)),) if monitoring else (),
    )


def claim_specs(spec: Node) -> Iterator[tuple[str, Node]]:
    """The claims of each pod: role, and the spec of a claim."""
    claim = spec.get("storage", "volumeClaimTemplate", "spec")
    if claim.exists():
        yield "storage", claim
    for role in ("storage", "walStorage"):
        node = spec.get(role)
        if node.get("size").exists():
            asked: dict[str, Plain] = {"resources": {"requests": {"storage": node.get("size").raw}}}
            if node.get("storageClass").exists():
                asked["storageClassName"] = node.get("storageClass").raw
            yield role, Node(asked, node.path, node.hidden)


def _is_sized(container: Node | None) -> bool:
    return container is not None and container.get("resources").exists()


def _container(name: str, resources: Node) -> Node:
    return Node({"name": name, "resources": resources.raw}, f"({name})", resources.secret)
