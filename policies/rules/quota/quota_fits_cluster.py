"""The ResourceQuotas of all namespaces together promise no more than the cluster has.

Restricted fields: `requests.*` and `limits.*` of CPU, memory and ephemeral storage in `spec.hard` of every
ResourceQuota of the stack.

Allowed values: the sum over namespaces of `requests.<resource>` is at most what the settings say that all nodes can
allocate, less what other stacks' quotas take; the sum of `limits.<resource>` at most a multiple of it. Of several
quotas of one namespace the smallest counts, since all of them hold; quotas for different scopes add up. GPUs are
judged by `gpu-quota`.

Why: a quota above the cluster holds nothing back: pods stay Pending instead of being refused with a reason. The
capacity is configuration, because a preview must not depend on a cluster: for node pools that grow, it is what they
have at their largest.
"""

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, Field

from policies import quantity
from policies.quota import Quota, quotas_of
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Stack, Undecided, Unreadable


def _readable(amounts: dict[str, str]) -> dict[str, str]:
    for amount in amounts.values():
        quantity.parse(amount)
    return amounts


Quantities = Annotated[dict[str, str], AfterValidator(_readable)]


class Settings(RuleSettings):
    """What the cluster has, and what of it belongs to others."""

    allocatable: Quantities = Field(default_factory=dict)
    """What all nodes can allocate, by resource: `{"cpu": "88", "memory": "788G"}`."""
    limits_ratio: dict[str, float] = Field(default={"cpu": 2.5, "memory": 1.0})
    """How many times the allocatable amount limits may come to; memory that is promised twice ends in kills."""
    taken: Quantities = Field(default_factory=dict)
    """What quotas of other stacks hold, by key: `{"requests.cpu": "20"}`."""


def find(stack: Stack, settings: Settings) -> Results:
    """Add up the quotas of all namespaces; without a capacity nothing can be said of them."""
    quotas = defaultdict[str, dict[str, list[Quota]]](lambda: defaultdict(list))
    for resource in stack.of("", "ResourceQuota"):
        try:
            for quota in quotas_of(resource):
                quotas[quota.key][resource.namespace].append(quota)
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    if quotas and not settings.allocatable:
        yield Undecided("allocatable", "the settings of quota-fits-cluster do not say what the cluster has")
    for name, there in settings.allocatable.items():
        whole = quantity.parse(there)
        yield from _compare(f"requests.{name}", quotas[f"requests.{name}"], whole, settings)
        if name in settings.limits_ratio:
            most = whole * Fraction(str(settings.limits_ratio[name]))
            yield from _compare(f"limits.{name}", quotas[f"limits.{name}"], most, settings)


def _compare(key: str, quotas: dict[str, list[Quota]], whole: Fraction, settings: Settings) -> Iterator[Finding]:
    bounds = {namespace: _bound(its) for namespace, its in quotas.items()}
    taken = quantity.parse(settings.taken.get(key, 0))
    total = sum(bounds.values(), taken)
    if bounds and total > whole:

        def show(amount: Fraction) -> str:
            return quantity.show(key, amount)

        largest = max(bounds, key=lambda namespace: bounds[namespace])
        quota = quotas[largest][0]
        parts = [f"{namespace} {show(bound)}" for namespace, bound in bounds.items()]
        parts += [f"other stacks {show(taken)}"] if taken else []
        part, _, name = key.partition(".")
        yield Finding(
            quota.resource,
            quota.path,
            f"the quotas for {key} come to {show(total)} ({', '.join(parts)})",
            f"at most {show(whole)}, by what the cluster has",
            f"lower ml-platform:tenancy.quota.{part}{name.title()}, or correct the capacity in policies/config",
        )


def _bound(quotas: list[Quota]) -> Fraction:
    """What one namespace may take: all quotas without a scope hold, those with one hold for different pods."""
    unscoped = [quota.hard for quota in quotas if not quota.scopes]
    return min(unscoped) if unscoped else sum((quota.hard for quota in quotas), Fraction(0))


RULE = Rule(
    name="quota-fits-cluster",
    scope="stack",
    kinds=frozenset({("", "ResourceQuota")}),
    settings=Settings,
    find=find,
    doc=__doc__,
)
