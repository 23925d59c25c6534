"""Every selector matches something, and every name of a port that leads somewhere is there.

Restricted fields: `selector` and named `targetPort` of Services, `podSelector` of NetworkPolicies, `selector` of
PeerAuthentications, PodDisruptionBudgets, ServiceMonitors and PodMonitors with the names of their ports, and
`workloadSelector` of Sidecars.

Allowed values: at least one pod template of the stack in the namespace that is meant, those of Ray with the labels that
KubeRay adds, or pods of another stack in `foreignPods`; for a ServiceMonitor a Service of the stack. A named port is
one of a pod, or of a Service, that is selected. A Service without a selector or of the type ExternalName selects
nothing on purpose, and an empty selector of a policy means all pods. What looks into namespaces that the stack does
not know is not judged.

Why: a Service that selects nothing answers with 503, a NetworkPolicy that does protects nobody, a monitor is silent and
its alerts never fire. All are valid objects, and one label that was renamed in one place is enough.
"""

from collections.abc import Generator, Iterator, Mapping
from typing import Final

from policies.mesh import WORKLOAD, ForeignPods, Mesh, MeshSettings, kinds, selector_in, survey
from policies.reach import Pod
from policies.reach.destinations import Service
from policies.reach.flaws import select_nothing
from policies.reach.selectors import Selector, equalities
from policies.rule import Finding, Results, Rule
from policies.view import Node, Resource, Stack, Unreadable

_FIX: Final = "correct the labels or remove the object; pods of another stack belong into foreignPods"
_PATHS: Final = {"NetworkPolicy": "spec.podSelector", "PeerAuthentication": "spec.selector"}


class Settings(MeshSettings):
    """The mesh, and what other stacks own."""

    foreign_pods: tuple[ForeignPods, ...] = ()
    """Pods of other stacks that may be selected."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every object that selects."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Service", "NetworkPolicy", "PeerAuthentication")
    pods = mesh.selectable(settings.foreign_pods)
    for flaw in select_nothing(mesh.objects, pods):
        resource = mesh.sources[flaw.object]
        if resource.kind in _PATHS and not mesh.doubtful(resource.namespace, WORKLOAD):
            yield _dangling(resource, _PATHS[resource.kind])
    yield from _services(mesh, pods, mesh.foreign(settings.foreign_pods))
    labels = yield from _labels_of_services(mesh)
    for resource in stack.resources:
        try:
            match resource.group, resource.kind:
                case "policy", "PodDisruptionBudget":
                    yield from _budget(mesh, pods, resource)
                case "networking.istio.io", "Sidecar":
                    wanted = _texts(resource.body.get("spec", "workloadSelector", "labels"))
                    yield from _over_pods(mesh, pods, resource, "workloadSelector", equalities(wanted))
                case "monitoring.coreos.com", "PodMonitor":
                    yield from _pod_monitor(mesh, pods, resource)
                case "monitoring.coreos.com", "ServiceMonitor":
                    yield from _service_monitor(mesh, labels, resource)
        except Unreadable as unreadable:
            yield unreadable.at(resource)


def _dangling(resource: Resource, path: str, what: str = "pod template") -> Finding:
    return Finding(resource, path, f"it matches no {what}", f"labels that a {what} has", _FIX)


def _texts(node: Node) -> dict[str, str]:
    return {key: child.text() for key, child in node.mapping().items()}


def _labels_of_services(mesh: Mesh) -> Generator[Unreadable, None, dict[Service, dict[str, str]]]:
    """Yields what cannot be read, and returns the labels of the Services themselves."""
    found = {}
    for service in mesh.objects.services:
        resource = mesh.sources[f"Service {service.namespace}/{service.name}"]
        try:
            found[service] = _texts(resource.body.get("metadata", "labels"))
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    return found


def _services(mesh: Mesh, pods: tuple[Pod, ...], others: list[Pod]) -> Iterator[Finding]:
    for service in mesh.objects.services:
        if service.pods is None or mesh.doubtful(service.namespace, WORKLOAD):
            continue
        resource = mesh.sources[f"Service {service.namespace}/{service.name}"]
        selected = [pod for pod in pods if service.selects(pod)]
        if not selected:
            yield _dangling(resource, "spec.selector")
            continue
        names = {name for pod in selected for name in pod.ports}
        if any(service.selects(pod) for pod in others):
            continue  # whose ports are not known
        for index, port in enumerate(service.ports):
            if isinstance(port.target, str) and port.target not in names:
                node = resource.body.get("spec", "ports").items()[index].get("targetPort")
                yield _no_port(resource, node, "a pod that it selects")


def _no_port(resource: Resource, node: Node, owner: str) -> Finding:
    found = f"no port of {owner} is named {node.shown()}"
    return Finding(resource, node.path, found, f"a port of {owner}", "correct the name")


def _budget(mesh: Mesh, pods: tuple[Pod, ...], resource: Resource) -> Iterator[Finding]:
    if resource.body.get("spec", "selector").exists():
        yield from _over_pods(mesh, pods, resource, "selector", selector_in(resource, "selector"))
    else:  # null matches no pods, and {} all: PodDisruptionBudgetSpec in kubernetes pkg/apis/policy/types.go
        yield _dangling(resource, "spec.selector")


def _over_pods(
    mesh: Mesh, pods: tuple[Pod, ...], resource: Resource, key: str, selector: Selector
) -> Iterator[Finding]:
    """A selector of pods in the object's own namespace; empty it means all that there will ever be."""
    inside = [pod for pod in pods if resource.namespace in (pod.namespace, mesh.objects.root_namespace)]
    matches = selector.empty or any(selector.matches(pod.labels) for pod in inside)
    if not matches and not mesh.doubtful(resource.namespace, WORKLOAD):
        yield _dangling(resource, f"spec.{key}")


def _looks_into(mesh: Mesh, resource: Resource) -> set[str] | None:
    """The namespaces of a monitor; None where not all of them are of this stack."""
    wanted = resource.body.get("spec", "namespaceSelector")
    named = {node.text() for node in wanted.get("matchNames").items()}
    if wanted.get("any").flag():
        return None
    namespaces = named or {resource.namespace}
    known = {
        *mesh.injection,
        *(pod.namespace for pod in mesh.pods),
        *(each.namespace for each in mesh.objects.services),
    }
    return namespaces if namespaces <= known else None


def _pod_monitor(mesh: Mesh, pods: tuple[Pod, ...], resource: Resource) -> Iterator[Finding]:
    selector, namespaces = selector_in(resource, "selector"), _looks_into(mesh, resource)
    if namespaces is None or any(mesh.doubtful(each, WORKLOAD) for each in namespaces):
        return
    selected = [pod for pod in pods if pod.namespace in namespaces and selector.matches(pod.labels)]
    if not selected:
        yield _dangling(resource, "spec.selector")
        return
    names = {name for pod in selected for name in pod.ports}
    yield from _endpoints(resource, "podMetricsEndpoints", names, "a pod that it selects")


def _service_monitor(mesh: Mesh, labels: Mapping[Service, dict[str, str]], resource: Resource) -> Iterator[Finding]:
    selector, namespaces = selector_in(resource, "selector"), _looks_into(mesh, resource)
    if namespaces is None or any(mesh.doubtful(each, "Service") for each in namespaces):
        return
    selected = [service for service, its in labels.items() if service.namespace in namespaces and selector.matches(its)]
    if len(labels) < len(mesh.objects.services) and not selected:
        return  # the labels of one are not known
    if not selected:
        yield _dangling(resource, "spec.selector", "Service")
        return
    names = {port.name for service in selected for port in service.ports}
    yield from _endpoints(resource, "endpoints", names, "a Service that it selects")


def _endpoints(resource: Resource, key: str, names: set[str], owner: str) -> Iterator[Finding]:
    for endpoint in resource.body.get("spec", key).items():
        port: Node = endpoint.get("port")
        if port.exists() and port.text() not in names:
            yield _no_port(resource, port, owner)


RULE = Rule(
    name="no-dangling",
    scope="stack",
    kinds=kinds("Service", "NetworkPolicy", "PeerAuthentication")
    | {
        ("policy", "PodDisruptionBudget"),
        ("networking.istio.io", "Sidecar"),
        ("monitoring.coreos.com", "PodMonitor"),
        ("monitoring.coreos.com", "ServiceMonitor"),
    },
    settings=Settings,
    find=find,
    doc=__doc__,
)
