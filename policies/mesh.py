"""The stack as `policies.reach` judges it: its policies read from nodes, and its pod templates as pods.

The bridge is here and nowhere else. A policy that cannot be read is left out, and told by `Mesh.unreadable`; of what it
might change, `Mesh.doubtful` says that nothing can be found.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from policies import injection, operators, pods
from policies.decode import Plain, Secret, revealed
from policies.reach import Objects, Pod
from policies.reach.fields import Field, Problem
from policies.reach.mtls import PeerAuthentication
from policies.reach.objects import KINDS as POLICIES
from policies.reach.selectors import Selector, read_selector
from policies.rule import RuleSettings
from policies.view import Malformed, Resource, Stack, Undecided, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from policies.pods import PodTemplate

WORKLOAD: Final = "workload"
"""For `unreadable` and `doubtful`: whatever holds a pod template."""
_OUTPUT: Final = "OUTPUT_CERTS"
# Of the sidecar's proxyMetadata: it leaves its certificate to the application.
_INJECTED: Final = {"security.istio.io/tlsMode": "istio"}
_SIDECARS_PORTS: Final = {"http-envoy-prom": 15090}
# Of every pod that gets a sidecar: files/injection-template.yaml of Istio's chart istiod.
_NOT_SHOWN: Final = "another shape than Kubernetes or Istio gives the field"


class MeshSettings(RuleSettings):
    """What the cluster brings and other stacks own; the same for every rule about the mesh."""

    root_namespace: str = "istio-system"
    """The mesh's, which is the cluster's."""
    cluster_mode: Literal["UNKNOWN", "STRICT"] = "UNKNOWN"
    """Mode of the PeerAuthentication that the cluster has for the whole mesh; UNKNOWN: do not rely on it."""
    trust_domain: str = "cluster.local"
    """Of the identities in the mesh."""
    injected_namespaces: tuple[str, ...] = ()
    """Namespaces with mesh injection whose Namespace object belongs to another stack."""


class PodsOf(RuleSettings):
    """Pods of another stack, by namespace and labels."""

    namespace: str
    """Theirs."""
    labels: dict[str, str]
    """That each of them has."""

    def pod(self, **ports: int) -> Pod:
        """One of them, with the named ports."""
        return Pod("any", self.namespace, self.labels, ports=ports)


class ForeignPods(RuleSettings):
    """Pods of another stack, by labels, in one namespace or in every one that the stack has pods in."""

    namespace: str = ""
    """Theirs; every one of the stack's own pods where none is said."""
    labels: dict[str, str]
    """That each of them has."""


@dataclass(frozen=True)
class Workload:
    """The pods of one template, and whom the evaluator takes for one of them."""

    resource: Resource
    template: PodTemplate
    pod: Pod

    def path(self, place: str) -> str:
        """A place in the object, with the template's role where the object has several."""
        return f"{self.template.role} {place}".strip()

    def __str__(self) -> str:
        return f"{self.resource.identity} {self.template.role}".strip()


class Gap(NamedTuple):
    """What could not be read, of which kind, and in which namespace; None where not even that is known."""

    kind: str
    namespace: str | None
    why: Unreadable


@dataclass(frozen=True)
class Mesh:
    """All that the rules about the mesh and the network judge."""

    objects: Objects
    workloads: tuple[Workload, ...]
    injection: Mapping[str, str]
    """Of each namespace that is known, as `policies.injection.of_namespace` says."""
    gaps: tuple[Gap, ...]
    sources: Mapping[str, Resource] = field(default_factory=dict)
    """What an object of `objects` was read from, by its kind and name there: `Namespace ml`, `Service ml/mlflow`."""

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Every pod."""
        return tuple(each.pod for each in self.workloads)

    @property
    def namespaces(self) -> list[str]:
        """Those that have pods in the mesh, or would give them sidecars."""
        enabled = {name for name, said in self.injection.items() if said == "enabled"}
        return sorted(enabled | {pod.namespace for pod in self.pods if pod.meshed})

    def foreign(self, others: Iterable[ForeignPods]) -> list[Pod]:
        """One of each kind of other stacks' pods, in each namespace where they may be."""
        own = sorted({pod.namespace for pod in self.pods})
        return [
            Pod("any", namespace, each.labels)
            for each in others
            for namespace in ([each.namespace] if each.namespace else own)
        ]

    def selectable(self, others: Iterable[ForeignPods]) -> tuple[Pod, ...]:
        """Every pod that a selector may mean: also those of other stacks, and the Job that KubeRay makes for a while.

        Source: buildRedisCleanupJob in KubeRay's raycluster_controller.go, a head with another node type.
        """
        heads = (pod for pod in self.pods if pod.labels.get("ray.io/node-type") == "head")
        cleanup = (replace(pod, labels={**pod.labels, "ray.io/node-type": "redis-cleanup"}) for pod in heads)
        return (*self.pods, *cleanup, *self.foreign(others))

    def home(self, namespace: str) -> tuple[Resource, str] | None:
        """Where to tell of a namespace: itself, or the first workload in it where it is another stack's."""
        if found := self.sources.get(f"Namespace {namespace}"):
            return found, ""
        inside = (each.resource for each in self.workloads if each.pod.namespace == namespace)
        return next(((resource, f"namespace {namespace}") for resource in inside), None)

    def unreadable(self, *kinds: str) -> Iterator[Unreadable]:
        """Why objects of these kinds could not be read, for a rule to tell."""
        return (gap.why for gap in self.gaps if gap.kind in kinds)

    def doubtful(self, namespace: str, *kinds: str) -> bool:
        """Whether an object of these kinds that could not be read may say something else about the namespace."""
        return any(gap.kind in kinds and gap.namespace in (None, namespace) for gap in self.gaps)


def kinds(*policies: str) -> frozenset[tuple[str, str]]:
    """What a rule reads that judges pods by these policies: them, workloads and namespaces."""
    return pods.KINDS | operators.KINDS | {known for known in POLICIES if known[1] in ("Namespace", *policies)}


def survey(stack: Stack, settings: MeshSettings) -> Mesh:
    """The mesh of a stack; made once for all rules with the same settings."""
    key = (settings.root_namespace, settings.cluster_mode, settings.trust_domain, settings.injected_namespaces)
    return stack.shared(("mesh", key), lambda: _survey(stack, settings))


def selector_in(resource: Resource, key: str, read: Callable[[Field], Selector] = read_selector) -> Selector:
    """A selector in the spec of an object that the evaluator does not know. Raises `Unreadable` as every read does."""
    problems: list[Problem] = []
    node = resource.body.get("spec", key)
    raw = revealed(node.raw)
    selector = read(Field({} if raw is None else raw, resource.identity, node.path, problems))
    for problem in _first(problems):
        raise _unreadable(problem, hidden=node.secret or _has_secret(node.raw))
    return selector


def _survey(stack: Stack, settings: MeshSettings) -> Mesh:
    gaps: list[Gap] = []
    objects, sources = _objects(stack, settings, gaps)
    told = dict.fromkeys(settings.injected_namespaces, "enabled")
    for resource in stack.of("", "Namespace"):
        if sources.get(f"Namespace {resource.name}") is resource:
            told[resource.name] = injection.of_namespace(resource) or told.get(resource.name, "")
    workloads: list[Workload] = []
    for resource in stack.resources:
        kind = (resource.group, resource.kind)
        if kind not in pods.KINDS | operators.KINDS:
            continue
        made_by = operators if kind in operators.KINDS else pods
        try:
            for template in made_by.templates(resource):
                try:
                    workloads.append(_workload(resource, template, made_by.labels(resource, template), told))
                except Unreadable as unreadable:
                    gaps.append(Gap(WORKLOAD, _namespace(resource), unreadable.at(resource)))
        except Unreadable as unreadable:
            gaps.append(Gap(WORKLOAD, _namespace(resource), unreadable.at(resource)))
    return Mesh(objects, tuple(workloads), told, tuple(gaps), sources)


def _objects(stack: Stack, settings: MeshSettings, gaps: list[Gap]) -> tuple[Objects, dict[str, Resource]]:
    found = [each for each in stack.resources if (each.group, each.kind) in POLICIES]
    objects, problems = Objects.readable(
        map(_manifest, found), root_namespace=settings.root_namespace, trust_domain=settings.trust_domain
    )
    for place, of_one in problems.items():
        gaps += (_gap(found[place], problem) for problem in _first(of_one))
    if settings.cluster_mode == "STRICT" and not any(
        each.namespace == settings.root_namespace and each.pods.empty for each in objects.peer_authentications
    ):
        cluster = PeerAuthentication(settings.root_namespace, "(the cluster's)", Selector(), "STRICT", {})
        objects = replace(objects, peer_authentications=(cluster, *objects.peer_authentications))
    readable = (resource for place, resource in enumerate(found) if place not in problems)
    return objects, {_owner(resource): resource for resource in readable}


def _first(problems: list[Problem]) -> list[Problem]:
    """What is not known, if anything is: what else is wrong may only follow from it. Each once."""
    return list(dict.fromkeys([problem for problem in problems if problem.unknown] or problems))


def _owner(resource: Resource) -> str:
    """The name that the evaluator gives an object."""
    namespace = "" if resource.kind == "Namespace" else f"{resource.namespace}/"
    return f"{resource.kind} {namespace}{resource.name}"


def _gap(resource: Resource, problem: Problem) -> Gap:
    namespace = resource.name if resource.kind == "Namespace" else _namespace(resource)
    why = _unreadable(problem, hidden=_has_secret(resource.body.raw))
    return Gap(resource.kind, namespace, why.at(resource))


def _unreadable(problem: Problem, *, hidden: bool) -> Unreadable:
    if problem.unknown:
        return Undecided(problem.path)
    return Malformed(problem.path, _NOT_SHOWN if hidden else problem.what)


def _namespace(resource: Resource) -> str | None:
    try:
        return resource.namespace
    except Unreadable:
        return None


def _manifest(resource: Resource) -> dict[str, Plain]:
    """An object as the evaluator takes it."""
    body = revealed(resource.body.raw)
    whole = body if isinstance(body, dict) else {}
    metadata = whole.get("metadata", {})
    named = {**metadata, "name": resource.name} if isinstance(metadata, dict) else metadata
    return {**whole, "metadata": named}


def _has_secret(value: Plain) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, Secret) or any(map(_has_secret, children))


def _workload(resource: Resource, template: PodTemplate, labels: dict[str, str], told: Mapping[str, str]) -> Workload:
    namespace = resource.namespace
    meshed = injection.is_injected(template, told.get(namespace, ""))
    name = f"{resource.name} {template.role}".strip()
    labels = labels | _INJECTED if meshed else labels
    certified = _OUTPUT in template.annotation("proxy.istio.io/config").text()
    ports = _ports(template, labels) | (_SIDECARS_PORTS if meshed else {})
    pod = Pod(name, namespace, labels, _account(resource, template), meshed, ports, certified)
    return Workload(resource, template, pod)


def _account(resource: Resource, template: PodTemplate) -> str:
    own = template.spec.get("serviceAccountName").text()
    # With an autoscaler KubeRay makes an account for the head: GetHeadGroupServiceAccountName in utils/util.go.
    ray = resource.kind == "RayCluster" and any(each.get("name").raw == "autoscaler" for each in template.added)
    return own or (resource.name if ray else "default")


def _ports(template: PodTemplate, labels: Mapping[str, str]) -> dict[str, int]:
    # KubeRay adds the first where a Ray container has no port of that name: DefaultHeadPodTemplate in common/pod.go.
    found = {"metrics": 8080} if "ray.io/node-type" in labels else {}
    for container in (*template.containers(), *template.init_containers()):
        for port in container.get("ports").items():
            name = port.get("name").text()
            if name:
                found[name] = port.get("containerPort").integer(0)
    return found
