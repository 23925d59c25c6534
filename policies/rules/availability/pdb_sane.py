"""A workload of several pods has one disruption budget, and each budget lets a node be drained.

Restricted fields: `spec` of every PodDisruptionBudget, against the labels and the number of pods of the workloads in
its namespace; autoscalers decide the number where there are any.

Allowed values: one budget for a workload that never has fewer pods than the settings say, and never two for the same
pods. With the fewest pods that there may be, at least one can go: `minAvailable` is less than their number,
`maxUnavailable` is at least 1; percentages are rounded up, as Kubernetes does.

Why: without a budget, a drain takes all pods of a server at once. With two for one pod, or with one that admits no
disruption, the drain of its node never ends: Kubernetes refuses every eviction.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from policies import pods
from policies.reach.selectors import Selector
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.scale import AUTOSCALERS, SCALABLE, Scales
from policies.selection import pod_labels, selector
from policies.view import Malformed, Node, Resource, Stack, Unreadable

_BUDGET: Final = ("policy", "PodDisruptionBudget")
_RAY: Final = frozenset({("ray.io", "RayCluster"), ("ray.io", "RayService")})


class Settings(RuleSettings):
    """Which workloads need a budget."""

    required_from: int = Field(default=2, ge=1)
    """From how many pods on."""


@dataclass
class _Budget:
    resource: Resource
    selector: Selector
    pods: int = 0
    """The fewest that it covers."""
    counted: bool = True
    """Whether the number of all pods that it covers is known."""
    covers: list[str] = field(default_factory=list)


def find(stack: Stack, settings: Settings) -> Results:
    """Judge the workloads, then the budgets, and go on where one object cannot be read."""
    scales, budgets = Scales(), defaultdict[str, list[_Budget]](list)
    for resource in stack.resources:
        try:
            scales.add(resource)
            if (resource.group, resource.kind) == _BUDGET:
                wanted = resource.body.get("spec", "selector")
                budgets[resource.namespace] += [_Budget(resource, selector(wanted))] if wanted.exists() else []
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) in SCALABLE | _RAY:
                yield from _cover(resource, scales, budgets[resource.namespace], settings)
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    for budget in (each for inside in budgets.values() for each in inside):
        try:
            yield from _blocking(budget)
        except Unreadable as unreadable:
            yield unreadable.at(budget.resource)


def _cover(resource: Resource, scales: Scales, budgets: list[_Budget], settings: Settings) -> Iterator[Finding]:
    for template in pods.templates(resource):
        labels = pod_labels(resource, template)
        mine = [budget for budget in budgets if budget.selector.matches(labels)]
        fewest = _fewest(resource, template.role, scales)
        for budget in mine:
            budget.covers.append(f"{resource.identity} {template.role}".strip())
            budget.pods += fewest or 0
            budget.counted &= fewest is not None
        if len(mine) > 1:
            yield Finding(
                resource,
                template.role,
                f"its pods are covered by {' and '.join(budget.resource.identity for budget in mine)}",
                "one PodDisruptionBudget for a pod",
                "remove all but one: with two, Kubernetes refuses every eviction",
            )
        if not mine and resource.group != "ray.io" and (fewest or 0) >= settings.required_from:
            yield Finding(
                resource,
                template.role,
                f"it has {fewest} pods and no PodDisruptionBudget",
                f"a budget from {settings.required_from} pods on",
                "add a PodDisruptionBudget with maxUnavailable 1 that selects its pods",
            )


def _fewest(resource: Resource, role: str, scales: Scales) -> int | None:
    """The fewest pods of a template; None where an operator decides. What may be scaled to none counts as one pod."""
    if resource.group != "ray.io":
        return max(1, scales.of(resource).fewest)
    return 1 if role == "head" else None


def _blocking(budget: _Budget) -> Iterator[Finding]:
    spec = budget.resource.body.get("spec")
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if not budget.covers or not budget.counted or not (least.exists() or most.exists()):
        return
    may_go = _share(most, budget.pods) if most.exists() else budget.pods - _share(least, budget.pods)
    if may_go < 1:
        yield Finding(
            budget.resource,
            (most if most.exists() else least).path,
            f"none of the {budget.pods} pods of {', '.join(budget.covers)} may go, so their nodes cannot be drained",
            "a budget that admits one disruption with the fewest pods that there may be",
            "say maxUnavailable 1",
        )


def _share(node: Node, whole: int) -> int:
    raw = str(node.scalar())
    if not re.fullmatch(r"[0-9]{1,9}%?", raw):
        raise Malformed(node.path, 'expected a whole number or a percentage such as "25%"')
    return -(-whole * int(raw[:-1]) // 100) if raw.endswith("%") else int(raw)


RULE = Rule(
    name="pdb-sane",
    scope="stack",
    kinds=SCALABLE | _RAY | AUTOSCALERS | {_BUDGET},
    settings=Settings,
    find=find,
    doc=__doc__,
)
