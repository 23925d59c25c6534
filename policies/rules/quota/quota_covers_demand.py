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
from dataclasses import replace

from pydantic import Field

from policies import surroundings
from policies.balance import BalanceSettings, knob, too_small
from policies.claims import CLASS_SUFFIX
from policies.demand import WORKLOADS, Share
from policies.ledger import ledger
from policies.quota import Quota
from policies.rule import Finding, Results, Rule
from policies.surroundings import MeshSettings, Survey
from policies.view import Stack


class Settings(BalanceSettings, MeshSettings):
    """What differs between clusters: their nodes, their mesh's proxy, and how much is kept free."""

    nodes: int = Field(default=2, ge=1)
    """How many nodes a DaemonSet runs on (`docs/requirements.md` Q2)."""

    def survey(self) -> Survey:
        """What surrounds pods, as far as the stack's own objects do not say it."""
        return replace(super().survey(), nodes=self.nodes)


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each namespace that has a ResourceQuota in the stack, and go on where one object cannot be read."""
    book = ledger(stack, settings.survey())
    yield from book.unread
    for namespace in book.quotas:
        for share in book.demand[namespace]:
            if share.unbounded:
                fix = f"set {knob(share)}"
                yield Finding(share.resource, share.role, share.unbounded, "a largest number of pods", fix)
    for line in book.lines():
        if CLASS_SUFFIX in line.quota.key:  # `storage-sum` judges by class
            continue
        yield from _unstated(line.quota, line.counted)
        yield from too_small(line, settings)


def _unstated(quota: Quota, counted: list[Share]) -> Iterator[Finding]:
    for share in counted:
        for container in share.unstated.get(quota.key, ()) if share.copies else ():
            part, _, name = quota.key.partition(".")
            found = f"container {container} must specify {quota.key}, which {quota.resource.identity} counts"
            fix = f"set resources.{part}.{name} of the container, or a default in a LimitRange"
            yield Finding(share.resource, share.role, found, "every container states what a quota counts", fix)


RULE = Rule(
    name="quota-covers-demand",
    scope="stack",
    kinds=WORKLOADS | surroundings.KINDS | {("", "ResourceQuota")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
