"""GPUs are counted: a namespace whose pods ask for them has a quota key that works, within what the cluster has.

Restricted fields: `spec.hard` of every ResourceQuota, against the containers of every pod template that ask for
`nvidia.com/*` (whole GPUs, time slices `nvidia.com/gpu.shared`, parts `nvidia.com/mig-*`) and against pods that claim
a device of NVIDIA's classes (`resourceClaims`).

Allowed values: `requests.<resource>` for each resource that is asked for, in a quota that counts the pod;
`<class>.deviceclass.resource.k8s.io/devices` for claimed devices. No other spelling: Kubernetes takes
`limits.nvidia.com/gpu` and counts nothing. The keys of all namespaces together are at most what the settings say that
the cluster has. Whether the demand fits into the key is judged by `quota-covers-demand`.

Why: GPUs are the dearest thing in the cluster, and without a key one namespace may take all of them. A quota for more
GPUs than there are promises pods that will never be scheduled.
"""

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

from pydantic import Field

from policies import gpus
from policies.demand import Share
from policies.pods import KINDS, PodTemplate, templates
from policies.quota import Quota, quotas_of
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Resource, Stack, Undecided, Unreadable

_DEVICES = ".deviceclass.resource.k8s.io/devices"
_CLAIMS = ("ResourceClaim", "ResourceClaimTemplate")


class Settings(RuleSettings):
    """The GPUs of the cluster."""

    capacity: dict[str, int] = Field(default_factory=dict)
    """GPUs by resource name, as the nodes of all pools have them at their largest (`{"nvidia.com/gpu": 16}`); quotas
    for what is not named here are not compared."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge keys and capacity first, then the pods of each namespace that has a quota in the stack."""
    quotas, claims = defaultdict[str, list[Quota]](list), dict[tuple[str, str, str], Resource]()
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) == ("", "ResourceQuota"):
                quotas[resource.namespace] += quotas_of(resource)
            elif (resource.group, resource.kind) in {("resource.k8s.io", kind) for kind in _CLAIMS}:
                claims[resource.namespace, resource.kind, resource.name] = resource
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    every = [quota for its in quotas.values() for quota in its]
    yield from _misspelt(every)
    yield from _too_many(every, settings)
    for resource in stack.resources:
        if (resource.group, resource.kind) in KINDS:
            try:
                if its := quotas.get(resource.namespace):
                    for template in templates(resource):
                        yield from _uncounted(resource, template, its, claims)
            except Unreadable as unreadable:
                yield unreadable.at(resource)


def _misspelt(quotas: list[Quota]) -> Iterator[Finding]:
    for quota in quotas:
        name = quota.key.removeprefix("limits.")
        if name.startswith(gpus.PREFIX):
            found = f"Kubernetes counts nothing under {quota.key}"
            fix = f"write requests.{name} (ml-platform:tenancy.quota.gpus)"
            yield Finding(quota.resource, quota.path, found, f"requests.{name}", fix)


def _too_many(quotas: list[Quota], settings: Settings) -> Iterator[Finding]:
    for name, there in settings.capacity.items():
        counted = [quota for quota in quotas if quota.key == f"requests.{name}"]
        total = sum((quota.hard for quota in counted), Fraction(0))
        if total > there:
            parts = " + ".join(f"{int(quota.hard)} ({quota.resource.identity})" for quota in counted)
            found = f"the quotas are for {parts} {name}, and the cluster has {there}"
            fix = "lower the quota (ml-platform:tenancy.quota.gpus)"
            yield Finding(counted[-1].resource, counted[-1].path, found, f"at most {there} in all", fix)


def _uncounted(
    resource: Resource, template: PodTemplate, quotas: list[Quota], claims: dict[tuple[str, str, str], Resource]
) -> Iterator[Finding]:
    containers = [*template.init_containers(), *template.containers()]
    wanted = {f"requests.{name}": "" for container in containers for name in gpus.asked(container)}
    wanted |= {f"{name}{_DEVICES}": "" for name in _claimed(resource, template, claims)}
    share = Share(resource, template.role, 1, {key: Fraction(1) for key in wanted}, template=template)
    for key in wanted:
        if not any(quota.key == key and quota.counts(share) for quota in quotas):
            names = ", ".join(dict.fromkeys(quota.resource.identity for quota in quotas))
            yield Finding(
                resource,
                template.role or template.spec.path,
                f"its pods are counted by no quota for {key}",
                f"a key for every GPU resource that is asked for, in {names}",
                f"add {key} to spec.hard of a ResourceQuota of the namespace",
            )


def _claimed(resource: Resource, template: PodTemplate, claims: dict[tuple[str, str, str], Resource]) -> Iterator[str]:
    """Classes of NVIDIA's devices that the pod claims; of a claim that another stack makes, the class is not known."""
    for node in template.spec.get("resourceClaims").items():
        named = node.get("resourceClaimTemplateName")
        kind = "ResourceClaimTemplate" if named.exists() else "ResourceClaim"
        named = named if named.exists() else node.get("resourceClaimName")
        claim = claims.get((resource.namespace, kind, named.text()))
        if claim is None:
            raise Undecided(named.path, f"{kind} {named.shown()} is not in the stack, so its device class is not known")
        path = ("spec", "spec", "devices") if kind == "ResourceClaimTemplate" else ("spec", "devices")
        for request in claim.body.get(*path, "requests").items():
            # resource.k8s.io/v1 has `exactly` or `firstAvailable`, v1beta1 the class itself.
            for each in [request, request.get("exactly"), *request.get("firstAvailable").items()]:
                if each.get("deviceClassName").text() in gpus.DEVICE_CLASSES:
                    yield each.get("deviceClassName").text()


RULE = Rule(
    name="gpu-quota",
    scope="stack",
    kinds=KINDS | {("", "ResourceQuota"), *(("resource.k8s.io", kind) for kind in _CLAIMS)},
    settings=Settings,
    find=find,
    doc=__doc__,
)
