"""An update ends only when the pods of every Ray cluster that it made or changed are ready.

Restricted fields: the annotation `pulumi.com/waitFor` of RayClusters and RayServices; the Jobs that come after them.

Allowed values: a condition or a field of the status that tells of now, as `condition=Ready` of a RayService; or a Job
in the same namespace that comes after the object (`dependsOn`), runs, and succeeds when its pods are ready. A condition
that is said once and stays, as the settings list them, is not enough alone.

Why: the provider waits for no custom resource by itself. With `RayClusterProvisioned` alone, an update of a cluster was
done as soon as the operator began with it (docs/decisions/0015-an-update-waits-for-rays-pods.md).
"""

from typing import Final

from policies import awaits
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Resource, Stack, Unreadable

_KINDS: Final = ("RayCluster", "RayService")


class Settings(RuleSettings):
    """What tells nothing of an update."""

    said_once: tuple[str, ...] = ("RayClusterProvisioned", "HeadPodReady")
    """Conditions that an operator says of what it began with, and does not take back when the object changes."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each custom resource that runs pods."""
    jobs = list(stack.of("batch", "Job"))
    for resource in stack.of("ray.io", *_KINDS):
        try:
            waits = any(_tells_of_now(expression, settings) for expression in awaits.waited_for(resource))
            if waits or any(_checks(stack, job, resource) for job in jobs):
                continue
            yield Finding(
                resource,
                awaits.annotation(resource, awaits.WAIT_FOR).path,
                "an update does not wait until its pods are ready",
                "pulumi.com/waitFor with a condition that tells of now, or a Job that comes after it",
                "add a Job that depends on it and ends when its pods are ready, as ray-ready does",
            )
        except Unreadable as unreadable:
            yield unreadable.at(resource)


def _tells_of_now(expression: str, settings: Settings) -> bool:
    condition = expression.removeprefix("condition=").partition("=")[0]
    return condition not in settings.said_once


def _checks(stack: Stack, job: Resource, resource: Resource) -> bool:
    runs = not job.body.get("spec", "suspend").flag()
    return runs and job.namespace == resource.namespace and stack.comes_after(job, resource)


RULE = Rule(
    name="custom-resource-awaited",
    scope="stack",
    kinds=frozenset({("batch", "Job"), *(("ray.io", kind) for kind in _KINDS)}),
    settings=Settings,
    find=find,
    doc=__doc__,
    asks_program=True,
)
