"""Builders of workloads, and what they come to in the demand model."""

from collections import defaultdict
from fractions import Fraction
from typing import Any

from policies import quantity
from policies.demand import Share, shares
from policies.surroundings import ProxySize, Surroundings
from policies.wire_view import resources
from tests.policies.support import Manifest, rule_named, stack_resource

RULE = rule_named("quota-covers-demand")
PROXY = ProxySize().container()
PLAIN = Surroundings(nodes=3, proxy=PROXY)
MESHED = Surroundings(nodes=3, proxy=PROXY, injection="enabled")


def box(cpu: Any = None, memory: Any = None, /, *, limit_cpu: Any = None, **more: Any) -> Manifest:
    asked = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value is not None}
    limits = {} if limit_cpu is None else {"cpu": limit_cpu}
    return {"name": "box", "resources": {"requests": asked, "limits": limits}, **more}


def workload(kind: str, spec: Manifest, api: str = "apps/v1") -> Manifest:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "it", "namespace": "ns"}, "spec": spec}


def pod(spec: Manifest, **metadata: Any) -> Manifest:
    found = workload("Pod", spec, "v1")
    found["metadata"] |= metadata
    return found


def template(*containers: Manifest, **spec: Any) -> Manifest:
    return {"template": {"spec": {"containers": list(containers or [box(1)]), **spec}}}


def found_shares(manifest: Manifest, around: Surroundings = PLAIN) -> list[Share]:
    (resource,) = resources(stack_resource(manifest, 0), RULE.kinds)
    return list(shares(resource, around))


def total(manifests: Manifest | list[Manifest], around: Surroundings = PLAIN) -> dict[str, Fraction]:
    found = defaultdict[str, Fraction](Fraction)
    for manifest in [manifests] if isinstance(manifests, dict) else manifests:
        for share in found_shares(manifest, around):
            for key in share.each:
                found[key] += share.of(key)
    return found


def amount(text: Any) -> Fraction:
    return quantity.parse(text)
