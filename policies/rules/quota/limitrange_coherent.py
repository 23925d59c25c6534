"""A namespace whose quota counts CPU or memory has defaults for it, and its LimitRanges admit every container in it.

Restricted fields: `spec.limits` of every LimitRange (`min`, `max`, `default`, `defaultRequest`,
`maxLimitRequestRatio`, of containers, pods and claims), against the ResourceQuotas and workloads of the namespace.

Allowed values: a default request and limit for each of `requests.cpu`, `requests.memory`, `limits.cpu` and
`limits.memory` that a quota counts; `min <= defaultRequest <= default <= max` and the ratio kept, across all
LimitRanges of the namespace; each container, mesh proxy, pod and claim within them, defaults filled in. No default
for an extended resource, and no `min` or `max` that becomes one.

Why: what a quota counts and a pod does not state is refused at rollout, and so is a container outside a bound, when
the Deployment that made it is long accepted. A `max` for a GPU is a default too: each pod without a GPU gets one.
"""

from collections import defaultdict
from collections.abc import Iterator

from policies.claims import claims
from policies.demand import WORKLOADS
from policies.limitrange import Bound, bounds_of
from policies.pods import templates
from policies.podsize import ENFORCED, Amounts, Defaults, container_size, limit_range_defaults, pod_size
from policies.quota import Quota, quotas_of
from policies.rule import Finding, Results, Rule
from policies.surroundings import MeshSettings, Surroundings, sidecar
from policies.view import Resource, Stack, Unreadable


class Settings(MeshSettings):
    """The mesh's proxy, which a LimitRange bounds as it does every container."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge quotas, LimitRanges and workloads of each namespace; a LimitRange that cannot be read may hold anything."""
    survey = settings.survey()
    quotas, bounds = defaultdict[str, list[Quota]](list), defaultdict[str, list[Bound]](list)
    ranges = defaultdict[str, list[tuple[Resource, Defaults]]](list)
    all_read = True
    for resource in stack.of("", "Namespace", "ResourceQuota", "LimitRange"):
        try:
            survey.add(resource)
            if resource.kind == "ResourceQuota":
                quotas[resource.namespace] += quotas_of(resource)
            elif resource.kind == "LimitRange":
                bounds[resource.namespace] += bounds_of(resource)
                ranges[resource.namespace].append((resource, limit_range_defaults(resource.body.get("spec"))))
        except Unreadable as unreadable:
            all_read = all_read and resource.kind != "LimitRange"
            yield unreadable.at(resource)
    for namespace, its_quotas in quotas.items() if all_read else ():
        yield from _without_default(its_quotas, survey.around(namespace).defaults)
    for namespace, its_ranges in ranges.items():
        for limit_range, defaults in its_ranges:
            yield from _for_everyone(limit_range, defaults)
            yield from _above_a_default(limit_range, defaults, its_ranges)
            size = _as_size(survey.around(namespace).defaults) | _as_size(defaults)
            yield from _outside_by_default(limit_range, size, bounds[namespace])
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) in WORKLOADS and bounds[resource.namespace]:
                yield from _outside(resource, bounds[resource.namespace], survey.around(resource.namespace))
        except Unreadable as unreadable:
            yield unreadable.at(resource)


def _without_default(quotas: list[Quota], defaults: Defaults) -> Iterator[Finding]:
    given = _as_size(defaults)
    counted = {quota.key: quota for quota in quotas}
    missing = [key for key in ENFORCED if key in counted and key not in given]
    if missing:
        yield Finding(
            counted[missing[0]].resource,
            counted[missing[0]].path,
            f"{', '.join(missing)} count, and no LimitRange of the namespace has a default for who does not say",
            "a default for every amount that the quota counts",
            "add default and defaultRequest to a LimitRange of type Container (ml-platform:tenancy.containerDefaults)",
        )


def _for_everyone(limit_range: Resource, defaults: Defaults) -> Iterator[Finding]:
    """Defaults of extended resources, which have a slash in their names."""
    extended = [name for name, amount in defaults.requests.items() if "/" in name and amount]
    if extended:
        yield Finding(
            limit_range,
            "spec.limits",
            f"every container of the namespace gets {', '.join(extended)}, whether it asks for it or not",
            "CPU, memory and ephemeral-storage; a max is a default too",
            "remove it; the ResourceQuota bounds it (ml-platform:tenancy.quota.gpus)",
        )


def _above_a_default(
    limit_range: Resource, defaults: Defaults, ranges: list[tuple[Resource, Defaults]]
) -> Iterator[Finding]:
    """Of two LimitRanges, which default a container gets is left to chance."""
    for other, its in ranges:
        for name, request in defaults.requests.items():
            if request > its.limits.get(name, request):
                yield Finding(
                    limit_range,
                    "spec.limits",
                    f"its default request for {name} is above the default limit of {other.identity}",
                    "defaults that go together whichever comes first",
                    "put all defaults of the namespace into one LimitRange",
                )


def _outside_by_default(limit_range: Resource, size: Amounts, bounds: list[Bound]) -> Iterator[Finding]:
    for bound in bounds:
        defaulted = any(f"{part}.{bound.name}" in size for part in ("requests", "limits"))
        if bound.type == "Container" and defaulted and (flaw := bound.broken_by(size)):
            yield _broken(limit_range, "spec.limits", f"a container that gets its defaults {flaw}", bound)


def _outside(resource: Resource, bounds: list[Bound], around: Surroundings) -> Iterator[Finding]:
    for template in templates(resource):
        proxy = sidecar(template, around)
        containers = [*template.init_containers(), *template.containers(), *([proxy] if proxy else [])]
        sizes = [
            ("Container", node.path, f"container {node.get('name').shown()}", container_size(node, around.defaults))
            for node in containers
        ]
        sizes.append(("Pod", template.spec.path, "a pod", pod_size(template, around.defaults, proxy).amounts))
        for kind, path, who, size in sizes:
            for bound in bounds:
                if bound.type == kind and (flaw := bound.broken_by(size)):
                    yield _broken(resource, path, f"{who} {flaw}", bound)
    for claim in claims(resource):
        for bound in bounds:
            if bound.type == "PersistentVolumeClaim" and (flaw := bound.broken_by(claim.amounts())):
                yield _broken(resource, claim.storage.path, f"a claim {flaw}", bound)


def _broken(resource: Resource, path: str, found: str, bound: Bound) -> Finding:
    fix = f"keep to it, or change {bound.rule}.{bound.name} of {bound.resource.identity}"
    return Finding(resource, path, found, bound.allowed, fix)


def _as_size(defaults: Defaults) -> Amounts:
    return {f"requests.{name}": amount for name, amount in defaults.requests.items()} | {
        f"limits.{name}": amount for name, amount in defaults.limits.items()
    }


RULE = Rule(
    name="limitrange-coherent",
    scope="stack",
    kinds=WORKLOADS | {("", "Namespace"), ("", "ResourceQuota"), ("", "LimitRange")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
