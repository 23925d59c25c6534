"""Every container says what it needs: requests for CPU and memory, and a limit for memory.

Restricted fields: `resources` of every container and init container of every pod template, those of Ray groups and
those that KubeRay adds included; and the pod's own `spec.resources`.

Allowed values: more than zero for `requests.cpu`, `requests.memory` and `limits.memory`; a limit alone is a request
too, and what the pod itself states its containers need not. The settings say whether a CPU limit is required (the
namespace's quota counts `limits.cpu`), refused (it does not: then a limit only slows a container down, unless it
equals the request, as a pod of the class Guaranteed has it) or optional. What a LimitRange of the namespace gives
counts only where the settings say so: it is one size for every container that says nothing.

Why: a container without requests is put on any node and is evicted first; one without a memory limit takes the node
down with it; and a quota refuses the pod at rollout (`quota-covers-demand`).
"""

from collections.abc import Iterator
from typing import Literal

from policies import quantity
from policies.pods import KINDS, PodTemplate, templates
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource

Amount = Literal["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"]
_ALWAYS: tuple[Amount, ...] = ("requests.cpu", "requests.memory", "limits.memory")


class Settings(RuleSettings):
    """What the namespaces' quota and LimitRange do about containers that do not say."""

    cpu_limit: Literal["required", "refused", "optional"] = "optional"
    """`required` where the ResourceQuota counts `limits.cpu`, `refused` where it does not."""
    defaulted: tuple[Amount, ...] = ()
    """Amounts that may be left to a LimitRange of the namespace."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every container of every pod template."""
    required = [*_ALWAYS, *(["limits.cpu"] if settings.cpu_limit == "required" else [])]
    required = [amount for amount in required if amount not in settings.defaulted]
    for template in templates(resource):
        of_the_pod = _stated(template.spec.get("resources"))
        for container in [*template.init_containers(), *template.containers()]:
            stated = _stated(container.get("resources"))
            missing = [amount for amount in required if amount not in stated | of_the_pod]
            if missing:
                yield _missing(resource, container, missing, required)
        if settings.cpu_limit == "refused":
            yield from _slowed_down(resource, template)


def _stated(resources: Node) -> set[str]:
    """The amounts of more than zero; a limit without a request is the request too."""
    limits = {name for name, node in resources.get("limits").mapping().items() if quantity.read(node)}
    requests = resources.get("requests").mapping()
    asked = {name for name, node in requests.items() if quantity.read(node)} | (limits - set(requests))
    return {f"limits.{name}" for name in limits} | {f"requests.{name}" for name in asked}


def _missing(resource: Resource, container: Node, missing: list[str], required: list[str]) -> Finding:
    return Finding(
        resource,
        container.child_path("resources"),
        f"container {container.get('name').shown()} does not state {', '.join(missing)}",
        f"{', '.join(required)} of every container, each more than zero",
        f"set {', '.join(f'resources.{amount}' for amount in missing)}",
    )


def _slowed_down(resource: Resource, template: PodTemplate) -> Iterator[Finding]:
    """CPU limits above the request; what an operator adds is not the program's choice."""
    for container in [*template.spec.get("initContainers").items(), *template.spec.get("containers").items()]:
        resources = container.get("resources")
        limit, request = (quantity.read(resources.get(part, "cpu")) for part in ("limits", "requests"))
        if limit is not None and request is not None and limit != request:
            yield Finding(
                resource,
                resources.get("limits", "cpu").path,
                f"container {container.get('name').shown()} has a CPU limit above its request, which no quota asks for",
                "no CPU limit, or one that equals the request",
                "remove resources.limits.cpu",
            )


RULE = Rule(name="resources-set", scope="resource", kinds=KINDS, settings=Settings, find=find, doc=__doc__)
