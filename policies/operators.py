"""Pods and claims that operators other than KubeRay make of their custom resources: what quotas and networks see.

Sources: prometheus-operator cmd/operator/main.go (sizes of the config-reloader), pkg/prometheus/statefulset.go (shards,
replicas, labels, ports); cloudnative-pg api/v1/cluster_types.go (instances, storage, walStorage), pkg/utils/labels.go.
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
_PORTS: Final = {"prometheus": 9090, "alertmanager": 9093, "thanos-ruler": 10902, "postgres": 5432}
"""What that container listens on."""
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
    ports = {main: {spec.get("portName").text("web") if monitoring else "postgresql": _PORTS[main]}}
    added = [
        _container(name, own[name].get("resources") if _is_sized(own.get(name)) else size, ports.get(name))
        for name, size in sizes.items()
    ]
    rest: list[Plain] = [node.raw for name, node in own.items() if name not in sizes]
    pod: dict[str, Plain] = {
        "containers": rest,
        "initContainers": spec.get("initContainers").raw,
        "priorityClassName": spec.get("priorityClassName").raw,
        "serviceAccountName": spec.get("serviceAccountName").raw,
    }
    yield PodTemplate(
        "",
        Node({"metadata": metadata.raw, "spec": pod}, "", spec.hidden),
        added=tuple(added),
        added_init=(_container("init-config-reloader", Node(_RELOADER)),) if monitoring else (),
    )


def labels(resource: Resource, template: PodTemplate) -> dict[str, str]:
    """The labels of the pods of a custom resource; the operator's own win."""
    own = {key: node.text() for key, node in template.node.get("metadata", "labels").mapping().items()}
    if resource.group != _MONITORING:
        return own | {"cnpg.io/cluster": resource.name}
    name = _MAIN[resource.group, resource.kind]
    return own | {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": resource.name,
        "app.kubernetes.io/managed-by": "prometheus-operator",
        name: resource.name,
    }


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


def _container(name: str, resources: Node, ports: dict[str, int] | None = None) -> Node:
    listed: list[Plain] = [{"name": port, "containerPort": number} for port, number in (ports or {}).items()]
    return Node({"name": name, "resources": resources.raw, "ports": listed}, f"({name})", resources.secret)
