"""A pod that asks for GPUs asks in a way that Kubernetes and Ray can grant, and tolerates the taint of GPU nodes.

Restricted fields: `nvidia.com/*` in `resources` of every container, `tolerations` of every pod template; `num-gpus` in
`rayStartParams` and GPUs in `resources` of Ray's groups.

Allowed values: a limit that is a whole number, and no request that differs from it; a toleration for the taint
`nvidia.com/gpu` with the effect NoSchedule, which NVIDIA's GPU operator and the settings' clusters put on GPU nodes;
where Ray is told a number of GPUs, the number that its container has. The model of the node is judged by
`gpu-runs-image-cuda`.

Why: the API server refuses what is wrong in a Pod, but takes it in a RayCluster, whose pods are then never made. A
Ray node that believes in more GPUs than it has starts tasks that find none; one that believes in fewer leaves them
unused.
"""

from collections.abc import Iterator
from fractions import Fraction

from policies import gpus, quantity, rayclusters
from policies.pods import KINDS, PodTemplate, templates
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource


class Settings(RuleSettings):
    """How the cluster keeps others off its GPU nodes."""

    taint: str = "nvidia.com/gpu"
    """Key of the taint of GPU nodes; empty where they have none."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every pod template that asks for a GPU, and every group of Ray."""
    for template in templates(resource):
        asking = [node for node in [*template.init_containers(), *template.containers()] if gpus.asked(node)]
        for container in asking:
            yield from _amounts(resource, container)
        if asking and settings.taint and not _tolerated(template, settings.taint):
            yield Finding(
                resource,
                template.spec.child_path("tolerations"),
                f"the taint {settings.taint} of GPU nodes is not tolerated",
                "a toleration for the effect NoSchedule",
                f"add {{key: {settings.taint}, operator: Exists, effect: NoSchedule}}",
            )
    if (resource.group, resource.kind) in rayclusters.KINDS:
        for group in rayclusters.groups(resource):
            yield from _told_to_ray(resource, group)


def _amounts(resource: Resource, container: Node) -> Iterator[Finding]:
    requests, limits = (container.get("resources", part) for part in ("requests", "limits"))
    for name in gpus.asked(container):
        request, limit = quantity.read(requests.get(name)), quantity.read(limits.get(name))
        if limit is None or limit.denominator != 1 or request not in (None, limit):
            yield Finding(
                resource,
                limits.child_path(name),
                f"container {container.get('name').shown()} has {_told(limits.get(name))} as its limit for {name} "
                f"and {_told(requests.get(name))} as its request",
                "a whole number as the limit, and the same or nothing as the request",
                f"set resources.limits of {name}, and remove its request",
            )


def _told(node: Node) -> str:
    return node.shown() if node.exists() else "nothing"


def _tolerated(template: PodTemplate, taint: str) -> bool:
    for node in template.spec.get("tolerations").items():
        key, exists = node.get("key").text(), node.get("operator").text() == "Exists"
        if (key == taint or (not key and exists)) and node.get("effect").text() in ("", "NoSchedule"):
            return True
    return False


def _told_to_ray(resource: Resource, group: Node) -> Iterator[Finding]:
    """Ray's container is the first; KubeRay tells Ray its limit where nothing else is said."""
    containers = group.get("template", "spec", "containers").items()
    there = sum(gpus.asked(containers[0]).values(), Fraction(0)) if containers else Fraction(0)
    resources = group.get("resources").mapping()
    told = [node for name, node in resources.items() if name.lower().endswith("gpu")]
    for node in [group.get("rayStartParams", "num-gpus"), *told]:
        number = quantity.read(node)
        if number is not None and number != there:
            yield Finding(
                resource,
                node.path,
                f"Ray is told of {node.shown()} GPUs, and its container has {float(there):g}",
                "the limit of the container",
                "remove it: KubeRay tells Ray the limit",
            )


RULE = Rule(name="gpu-spec", scope="resource", kinds=KINDS, settings=Settings, find=find, doc=__doc__)
