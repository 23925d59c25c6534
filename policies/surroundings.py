"""What surrounds the pods of a namespace and changes what they come to: mesh, defaults, autoscalers, nodes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from policies.injection import is_injected, of_namespace
from policies.podsize import Defaults, limit_range_defaults
from policies.rule import RuleSettings
from policies.view import Node, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.decode import Plain
    from policies.pods import PodTemplate

KINDS: Final = frozenset(
    {
        ("", "Namespace"),
        ("", "LimitRange"),
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("keda.sh", "ScaledObject"),
    }
)
_PROXY_ANNOTATIONS: Final = {
    "sidecar.istio.io/proxyCPU": ("requests", "cpu"),
    "sidecar.istio.io/proxyMemory": ("requests", "memory"),
    "sidecar.istio.io/proxyCPULimit": ("limits", "cpu"),
    "sidecar.istio.io/proxyMemoryLimit": ("limits", "memory"),
}
PROXY: Final = "istio-proxy"
"""The name of the container that Istio adds."""
Target = tuple[str, str, str]
"""Namespace, kind and name of what an autoscaler scales."""


class Compute(RuleSettings):
    """CPU and memory, as quantities."""

    cpu: str
    """CPUs, such as `100m`."""
    memory: str
    """Bytes, such as `128Mi`."""


class ProxySize(RuleSettings):
    """What the mesh's proxy asks for: istio manifests/charts/istio-control/istio-discovery/values.yaml."""

    requests: Compute = Compute(cpu="100m", memory="128Mi")
    """What is kept for it."""
    limits: Compute = Compute(cpu="2", memory="1Gi")
    """What it may use."""

    def container(self) -> Node:
        """The container that the mesh adds to a pod."""
        return proxy(self.requests.model_dump(), self.limits.model_dump())


class MeshSettings(RuleSettings):
    """What the mesh adds to pods."""

    proxy: ProxySize = ProxySize()
    """The mesh's proxy, where no annotation of a pod says its size."""
    injected_namespaces: tuple[str, ...] = ()
    """Namespaces with mesh injection whose Namespace object belongs to another stack."""

    def survey(self) -> Survey:
        """What surrounds pods, as far as the stack's own objects do not say it."""
        return Survey(0, self.proxy.container(), dict.fromkeys(self.injected_namespaces, "enabled"))


@dataclass(frozen=True)
class Surroundings:
    """Those of one namespace."""

    nodes: int
    proxy: Node
    injection: str = ""
    """`enabled`, `disabled`, or empty where the namespace does not say or is not known."""
    defaults: Defaults = field(default_factory=Defaults)
    maxima: Mapping[Target, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """Collects the surroundings of every namespace, object by object; `injection` starts with what is known."""

    nodes: int
    proxy: Node
    injection: dict[str, str]
    defaults: defaultdict[str, Defaults] = field(default_factory=lambda: defaultdict(Defaults))
    maxima: dict[Target, int] = field(default_factory=dict)

    def add(self, resource: Resource) -> None:
        """Take in one object, if it is of a kind that surrounds pods. Raises `Unreadable` as every read does."""
        spec = resource.body.get("spec")
        match resource.group, resource.kind:
            case "", "Namespace":
                known = self.injection.get(resource.name, "")
                self.injection[resource.name] = of_namespace(resource) or known
            case "", "LimitRange":
                new, old = limit_range_defaults(spec), self.defaults[resource.namespace]
                self.defaults[resource.namespace] = Defaults(old.requests | new.requests, old.limits | new.limits)
            case "autoscaling", "HorizontalPodAutoscaler":
                self._scale(resource, spec.get("maxReplicas").integer(1))
            case "keda.sh", "ScaledObject":
                self._scale(resource, spec.get("maxReplicaCount").integer(100))

    def around(self, namespace: str) -> Surroundings:
        """What the objects so far do to one namespace."""
        injection = self.injection.get(namespace, "")
        return Surroundings(self.nodes, self.proxy, injection, self.defaults[namespace], self.maxima)

    def _scale(self, resource: Resource, maximum: int) -> None:
        target = resource.body.get("spec", "scaleTargetRef")
        # KEDA reads an absent kind as Deployment.
        self.maxima[resource.namespace, target.get("kind").text("Deployment"), target.get("name").text()] = maximum


def proxy(requests: Mapping[str, Plain], limits: Mapping[str, Plain]) -> Node:
    """A container of the mesh's proxy with the given sizes."""
    sizes: dict[str, Plain] = {"requests": {**requests}, "limits": {**limits}}
    return Node({"name": PROXY, "resources": sizes}, f"({PROXY})")


def sidecar(template: PodTemplate, around: Surroundings) -> Node | None:
    """The proxy that Istio adds to a pod, sized by the pod's annotations or by the mesh; None where it adds none.

    A Pod that exists has its proxy among its containers, and a template may size it there.
    One annotation of the four, and the mesh's sizes no longer apply.
    Source: istio manifests/charts/istio-control/istio-discovery/files/injection-template.yaml.
    """
    if not is_injected(template, around.injection):
        return None
    if any(_is_sized_proxy(container) for container in [*template.containers(), *template.init_containers()]):
        return None
    sizes: dict[str, dict[str, Plain]] = {"requests": {}, "limits": {}}
    for name, (part, unit) in _PROXY_ANNOTATIONS.items():
        annotation = template.annotation(name)
        if annotation.exists():
            sizes[part][unit] = annotation.scalar()
    return proxy(sizes["requests"], sizes["limits"]) if any(sizes.values()) else around.proxy


def _is_sized_proxy(container: Node) -> bool:
    return container.get("name").text() == PROXY and bool(container.get("resources").mapping())
