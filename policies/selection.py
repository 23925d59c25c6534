"""Which pods a LabelSelector means: selectors and labels, read with `Node`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.reach.selectors import OPERATORS, Requirement, Selector, equalities
from policies.view import Malformed

if TYPE_CHECKING:
    from policies.pods import PodTemplate
    from policies.view import Node, Resource


def selector(node: Node) -> Selector:
    """A LabelSelector; an absent one is for the caller to tell from an empty one, which matches everything."""
    requirements = equalities(labels(node.get("matchLabels"))).requirements
    return Selector((*requirements, *map(_requirement, node.get("matchExpressions").items())))


def labels(node: Node) -> dict[str, str]:
    """Labels by key."""
    return {key: value.text() for key, value in node.mapping().items()}


def pod_labels(resource: Resource, template: PodTemplate) -> dict[str, str]:
    """The labels that the pods of a template will have, those of KubeRay included.

    Source: ray-operator v1.6.2 controllers/ray/common/pod.go, labelPod.
    """
    own = labels(template.node.get("metadata", "labels"))
    if resource.group != "ray.io" or template.role == "submitter":
        return own
    node_type = "head" if template.role == "head" else "worker"
    kuberay = {"ray.io/is-ray-node": "yes", "ray.io/node-type": node_type}
    # The clusters of RayServices and RayJobs have generated names.
    return own | kuberay | ({"ray.io/cluster": resource.name} if resource.kind == "RayCluster" else {})


def _requirement(node: Node) -> Requirement:
    operator = node.get("operator")
    if operator.text() not in OPERATORS:
        raise Malformed(operator.path, f"expected one of {', '.join(OPERATORS)}")
    return Requirement(
        node.get("key").text(), operator.text(), tuple(value.text() for value in node.get("values").items())
    )
