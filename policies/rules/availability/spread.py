"""The pods of a workload prefer different nodes.

Restricted fields: `topologySpreadConstraints` and `affinity.podAntiAffinity` of the pod templates of Deployments,
StatefulSets, ReplicaSets and ReplicationControllers that may have two pods or more, by themselves or by an autoscaler.

Allowed values: one term, required or preferred, over nodes or zones, whose `labelSelector` matches the pods themselves:
a selector that matches nothing, or other pods, spreads nothing. Preferred terms are enough, so that one node can hold
all of them where there is but one. Ray packs its workers by itself.

Why: two replicas on one node are gone with it.
"""

from collections.abc import Iterator
from typing import Final

from policies import pods
from policies.pods import PodTemplate
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.scale import AUTOSCALERS, SCALABLE, Scales
from policies.selection import pod_labels, selector
from policies.view import Node, Resource, Stack, Unreadable

_RULES: Final = ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution")


class Settings(RuleSettings):
    """What counts as another place."""

    topology_keys: tuple[str, ...] = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    """Labels of nodes over which pods may be spread."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every workload of several pods, and go on where one cannot be read."""
    scales = Scales()
    for resource in stack.resources:
        try:
            scales.add(resource)
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) in SCALABLE and scales.of(resource).most > 1:
                yield from _judge(resource, settings)
        except Unreadable as unreadable:
            yield unreadable.at(resource)


def _judge(resource: Resource, settings: Settings) -> Iterator[Finding]:
    for template in pods.templates(resource):
        labels = pod_labels(resource, template)
        terms = list(_terms(template))
        over_nodes = [term for term in terms if term.get("topologyKey").text() in settings.topology_keys]
        if any(_means(term, resource, labels) for term in over_nodes):
            continue
        found = "its pods may all be on one node"
        if over_nodes:
            found += ": the labelSelector of its spreading does not match them"
        yield Finding(
            resource,
            (
                over_nodes[0].get("labelSelector") if over_nodes else template.spec.get("affinity", "podAntiAffinity")
            ).path,
            found,
            f"a term over {' or '.join(settings.topology_keys)} that selects the pods themselves",
            "add a preferred podAntiAffinity over kubernetes.io/hostname with the labels of the pods",
        )


def _terms(template: PodTemplate) -> Iterator[Node]:
    """Everything with a `topologyKey` and a `labelSelector`."""
    yield from template.spec.get("topologySpreadConstraints").items()
    anti = template.spec.get("affinity", "podAntiAffinity")
    yield from anti.get(_RULES[0]).items()
    yield from (preferred.get("podAffinityTerm") for preferred in anti.get(_RULES[1]).items())


def _means(term: Node, resource: Resource, labels: dict[str, str]) -> bool:
    """Whether a term is about the pods that it stands in; an absent selector matches none, an absent list these."""
    namespaces = [each.text() for each in term.get("namespaces").items()]
    wanted = term.get("labelSelector")
    here = not namespaces or resource.namespace in namespaces
    return here and wanted.exists() and selector(wanted).matches(labels)


RULE = Rule(name="spread", scope="stack", kinds=SCALABLE | AUTOSCALERS, settings=Settings, find=find, doc=__doc__)
