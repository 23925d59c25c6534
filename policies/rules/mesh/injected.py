"""Every namespace is in the mesh by one label, and every pod in it has a sidecar.

Restricted fields: the labels `istio-injection`, `istio.io/rev` and `istio.io/dataplane-mode` of Namespaces; the label
and the annotation `sidecar.istio.io/inject`, and `hostNetwork`, of every pod template, those of Ray groups included.

Allowed values: a Namespace has `istio-injection: enabled` or `istio.io/rev`, and not both; no ambient mode, for which
nothing here can vouch. `sidecar.istio.io/inject` is absent or "true": Istio knows "true" and "false" alone, a label is
stronger than the annotation, and a pod on the host's network never gets a sidecar. A workload in a namespace of which
neither the stack nor `injectedNamespaces` says anything is refused. Who must stay outside has an exception, or, for a
whole namespace, stands in `outsideNamespaces`.

Why: a pod without a sidecar has no identity and speaks plain text: whatever else is said of the mesh does not hold for
it. `istio-injection: true` looks right and injects nothing.
"""

from collections.abc import Iterator

from policies import injection
from policies.mesh import WORKLOAD, Mesh, MeshSettings, Workload, kinds, survey
from policies.rule import Finding, Results, Rule
from policies.view import Node, Resource, Stack, Unreadable

_MODE = "istio.io/dataplane-mode"
_LABELS = "istio-injection enabled, or istio.io/rev, and not both"


class Settings(MeshSettings):
    """The mesh, and who is not in it."""

    outside_namespaces: tuple[str, ...] = ()
    """Namespaces that are not in the mesh, on purpose."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every Namespace, and every pod template in one that is in the mesh."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Namespace")
    outside = {*settings.outside_namespaces, settings.root_namespace}
    for resource in stack.of("", "Namespace"):
        if resource.name not in outside and mesh.sources.get(f"Namespace {resource.name}") is resource:
            yield from _judge_namespace(resource)
    yield from _of_unknown_namespaces(mesh, outside)
    for workload in mesh.workloads:
        if mesh.injection.get(workload.pod.namespace) == "enabled" and workload.pod.namespace not in outside:
            try:
                yield from _judge(workload)
            except Unreadable as unreadable:
                yield unreadable.at(workload.resource)


def _judge_namespace(resource: Resource) -> Iterator[Finding]:
    labels = resource.body.get("metadata", "labels")
    said, revision = labels.get(injection.NAMESPACE_LABEL), labels.get(injection.REVISION_LABEL)
    if labels.get(_MODE).text() == "ambient":
        found = "in ambient mode its pods have no sidecars, and the rules about sidecars say nothing of them"
        yield Finding(resource, labels.get(_MODE).path, found, _LABELS, "remove the label")
    if said.exists() and said.text() != "enabled":
        found = f"{said.shown()} injects nothing"
        yield Finding(resource, said.path, found, _LABELS, "set ml-platform:tenancy.meshInjection to true")
    elif said.exists() and revision.exists():
        found = "it has two labels for injection, and istio.io/rev is ignored"
        yield Finding(resource, revision.path, found, _LABELS, "keep the one that is meant")
    elif not (said.exists() or revision.exists()):
        found = "no label puts it into the mesh, so its pods have no identity"
        yield Finding(resource, labels.path, found, _LABELS, "set ml-platform:tenancy.meshInjection to true")


def _of_unknown_namespaces(mesh: Mesh, outside: set[str]) -> Iterator[Finding]:
    for namespace in sorted({pod.namespace for pod in mesh.pods} - {*mesh.injection, *outside}):
        home = mesh.home(namespace)
        if home and not mesh.doubtful(namespace, "Namespace"):
            found = "nothing says that this namespace gives its pods sidecars"
            fix = "name it in injectedNamespaces or outsideNamespaces of this rule's settings"
            yield Finding(*home, found, "a namespace of which it is known", fix)


def _judge(workload: Workload) -> Iterator[Finding]:
    template = workload.template
    host_network, label = template.spec.get("hostNetwork"), template.label(injection.POD_LABEL)
    asked = label if label.exists() else template.annotation(injection.POD_LABEL)
    if host_network.flag():
        found = "a pod on the host's network never gets a sidecar"
        yield _finding(workload, host_network, found, "give it a network of its own")
    elif asked.exists() and asked.text() not in ("true", "false"):
        yield _finding(workload, asked, f"Istio does not know {asked.shown()}, and takes its default", "remove it")
    elif not workload.pod.meshed:
        found = "it stays outside of the mesh: it has no identity, and speaks plain text"
        yield _finding(workload, asked if asked.exists() else template.spec, found, "remove it")


def _finding(workload: Workload, node: Node, found: str, fix: str) -> Finding:
    return Finding(workload.resource, node.path, found, "a sidecar, or an exception for this path", fix)


RULE = Rule(name="injected", scope="stack", kinds=kinds(), settings=Settings, find=find, doc=__doc__)
