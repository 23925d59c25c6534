"""What a namespace may come to ask for at maximum scale fits into its ResourceQuotas.

Restricted fields: `spec.hard` of every ResourceQuota (CPU, memory, ephemeral storage and GPU requests and limits,
pods, persistent volume claims, storage), against every workload of the stack in the same namespace.

Allowed values: hard x (1 - headroom) is at least the sum over workloads of pods x pod size, where pods counts
autoscaler maxima and rollout surge, and pod size counts init containers, overhead, mesh proxies, what KubeRay adds,
and LimitRange defaults. Each container states what a quota counts, and nothing multiplies without a bound.

Why: a quota that is found too small at rollout or at night, when the autoscaler asks, stops the platform half way.
The CPU quota of the platform that this one replaces was used up at 34 % of its cluster, by sidecar limits that
nobody had added up (`docs/requirements.md` Q1, Q3).
"""

from collections.abc import Iterator
from fractions import Fraction

from pydantic import Field

from policies import quantity, surroundings
from policies.demand import WORKLOADS, Share
from policies.ledger import Line, ledger
from policies.quota import Quota
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.surroundings import ProxySize, Survey
from policies.view import Stack

_CONFIG_KEYS = {
    "requests.cpu": "requestsCpu",
    "requests.memory": "requestsMemory",
    "limits.cpu": "limitsCpu",
    "limits.memory": "limitsMemory",
    "requests.nvidia.com/gpu": "gpus",
    "pods": "pods",
    "persistentvolumeclaims": "persistentVolumeClaims",
    "requests.storage": "requestsStorage",
}


class Settings(RuleSettings):
    """What differs between clusters: their nodes, their mesh's proxy, and how much is kept free."""

    headroom: float = Field(default=0.1, ge=0, lt=1)
    """The share of each hard value that demand must leave free."""
    nodes: int = Field(default=2, ge=1)
    """How many nodes a DaemonSet runs on (`docs/requirements.md` Q2)."""
    proxy: ProxySize = ProxySize()
    """The mesh's proxy, where no annotation of a pod says its size."""
    injected_namespaces: tuple[str, ...] = ()
    """Namespaces with mesh injection whose Namespace object belongs to another stack."""
    contributors: int = Field(default=3, ge=1)
    """How many of the largest contributors a finding names."""

    def survey(self) -> Survey:
        """What surrounds pods, as far as the stack's own objects do not say it."""
        known = dict.fromkeys(self.injected_namespaces, "enabled")
        return Survey(self.nodes, self.proxy.container(), known)


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each namespace that has a ResourceQuota in the stack, and go on where one object cannot be read."""
    book = ledger(stack, settings.survey())
    yield from book.unread
    for namespace in book.quotas:
        for share in book.demand[namespace]:
            if share.unbounded:
                fix = f"set {_knob(share)}"
                yield Finding(share.resource, share.role, share.unbounded, "a largest number of pods", fix)
    for line in book.lines():
        yield from _unstated(line.quota, line.counted)
        if line.total > line.allowed(settings.headroom):
            yield _too_small(line, settings)


def _unstated(quota: Quota, counted: list[Share]) -> Iterator[Finding]:
    for share in counted:
        for container in share.unstated.get(quota.key, ()) if share.copies else ():
            part, _, name = quota.key.partition(".")
            found = f"container {container} must specify {quota.key}, which {quota.resource.identity} counts"
            fix = f"set resources.{part}.{name} of the container, or a default in a LimitRange"
            yield Finding(share.resource, share.role, found, "every container states what a quota counts", fix)


def _too_small(line: Line, settings: Settings) -> Finding:
    quota = line.quota

    def show(amount: Fraction) -> str:
        return quantity.show(quota.key, amount)

    largest = sorted((each for each in line.counted if not each.unbounded), key=lambda share: -share.of(quota.key))
    named = [share for share in largest if share.of(quota.key)][: settings.contributors]
    parts = "; ".join(
        f"{share.who}: {share.copies} x {show(share.each[quota.key])} = {show(share.of(quota.key))}" for share in named
    )
    key = _CONFIG_KEYS.get(quota.key)
    raised = f"ml-platform:tenancy.quota.{key}" if key else quota.path
    return Finding(
        quota.resource,
        quota.path,
        f"demand at maximum scale is {show(line.total)} ({parts}), hard is {show(quota.hard)}",
        f"at most {show(line.allowed(settings.headroom))}, which keeps {settings.headroom:.0%} free",
        f"raise {raised} or lower {', '.join(dict.fromkeys(map(_knob, named)))}",
    )


def _knob(share: Share) -> str:
    if share.role.startswith("worker group "):
        return f"ml-platform:ray.workerGroups[{share.role.removeprefix('worker group ')}].maxReplicas"
    return f"the number or size of pods of {share.resource.identity}"


RULE = Rule(
    name="quota-covers-demand",
    scope="stack",
    kinds=WORKLOADS | surroundings.KINDS | {("", "ResourceQuota")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
