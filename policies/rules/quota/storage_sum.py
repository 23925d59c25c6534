"""What a namespace may come to claim of each storage class fits into the quota for that class.

Restricted fields: the keys `<class>.storageclass.storage.k8s.io/requests.storage` and `.../persistentvolumeclaims` of
every ResourceQuota, against `storageClassName` and the size of every claim: PersistentVolumeClaims, claim templates
of StatefulSets, ephemeral volumes of pods and of Ray groups, storage of Prometheus, Alertmanager and CloudNativePG.

Allowed values: hard x (1 - headroom) is at least the sum over claims of replicas x size, at maximum scale. Where a
quota counts by class, each claim's class is known: it is named, or the default class of the cluster is, by a
StorageClass of the stack with the annotation `storageclass.kubernetes.io/is-default-class`, or by the settings.
Sums over all classes are judged by `quota-covers-demand`.

Why: the fast class is the small one. A claim that names no class gets the cluster's default when it is created, and
counts against that one's key.
"""

from collections import defaultdict
from collections.abc import Iterator

from pydantic import Field

from policies import surroundings
from policies.balance import BalanceSettings, too_small
from policies.claims import CLASS_SUFFIX, claims
from policies.demand import WORKLOADS, Share, claimed
from policies.ledger import Line
from policies.quota import Quota, quotas_of
from policies.rule import Finding, Results, Rule
from policies.surroundings import Survey, proxy
from policies.view import Resource, Stack, Unreadable

_IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"


class Settings(BalanceSettings):
    """What the cluster gives to a claim that names no class."""

    default_class: str = ""
    """The default storage class; empty where it is not known."""
    nodes: int = Field(default=2, ge=1)
    """How many nodes a DaemonSet runs on, each pod with its ephemeral claims."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each namespace that has a quota by class, and go on where one object cannot be read."""
    survey = Survey(settings.nodes, proxy({}, {}), {})
    quotas, demand = defaultdict[str, list[Quota]](list), defaultdict[str, list[Share]](list)
    default = settings.default_class
    for resource in stack.resources:
        try:
            match resource.group, resource.kind:
                case "", "ResourceQuota":
                    by_class = [quota for quota in quotas_of(resource) if CLASS_SUFFIX in quota.key]
                    quotas[resource.namespace] += by_class
                case "storage.k8s.io", "StorageClass":
                    if resource.body.get("metadata", "annotations", _IS_DEFAULT).text() == "true":
                        default = default or resource.name
                case "autoscaling" | "keda.sh", "HorizontalPodAutoscaler" | "ScaledObject":
                    survey.add(resource)
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) in WORKLOADS and quotas[resource.namespace] and any(claims(resource)):
                demand[resource.namespace] += claimed(resource, survey.around(resource.namespace), default)
                if not default:
                    yield from _of_any_class(resource, quotas[resource.namespace])
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    for namespace, its_quotas in quotas.items():
        for quota in its_quotas:
            yield from too_small(Line(quota, demand[namespace]), settings)


def _of_any_class(resource: Resource, quotas: list[Quota]) -> Iterator[Finding]:
    for claim in claims(resource):
        if not claim.spec.get("storageClassName").exists():
            yield Finding(
                resource,
                claim.spec.path,
                f"the claim names no storage class, and {quotas[0].resource.identity} counts by class",
                "a class that is named, or a known default class",
                "set storageClassName, or defaultClass of this rule in policies/config",
            )


RULE = Rule(
    name="storage-sum",
    scope="stack",
    kinds=WORKLOADS | surroundings.KINDS | {("", "ResourceQuota"), ("storage.k8s.io", "StorageClass")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
