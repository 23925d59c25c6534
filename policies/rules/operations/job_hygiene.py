"""A Job ends within a bound, is tried a stated number of times, and stays for as long as Pulumi knows it.

Restricted fields: `backoffLimit`, `activeDeadlineSeconds` and `ttlSecondsAfterFinished` of Jobs and of the templates of
CronJobs, `concurrencyPolicy` of CronJobs; `backoffLimit` and `activeDeadlineSeconds` of RayJobs and RayCronJobs.

Allowed values: both bounds are stated. `concurrencyPolicy` is Forbid. A Job of the stack has no
`ttlSecondsAfterFinished`; those that a CronJob makes may have one, and so may a RayJob, which stays itself.

Why: a Job without a deadline holds its quota for ever when it hangs. One with a time to live vanishes behind Pulumi's
back: the next refresh misses it, and the next update runs the migration again. Runs of a CronJob that is allowed to
overlap write into the same store.
"""

from collections.abc import Iterator
from typing import Final

from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource

_JOBS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("batch", "Job"): ("spec",),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec"),
    ("ray.io", "RayJob"): ("spec",),
    ("ray.io", "RayCronJob"): ("spec", "jobTemplate"),
}


class Settings(RuleSettings):
    """None."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge a Job, or what makes Jobs."""
    del settings
    kind = (resource.group, resource.kind)
    job: Node = resource.body.get(*_JOBS[kind])
    for bound, what in (("backoffLimit", "how often it is tried"), ("activeDeadlineSeconds", "how long it may run")):
        if not job.get(bound).exists():
            yield Finding(
                resource,
                job.get(bound).path,
                f"{what} is not said",
                "a number",
                f"set {bound} of the Job itself: that of the pod template is another",
            )
        else:
            job.get(bound).integer(0)
    if kind == ("batch", "Job") and job.get("ttlSecondsAfterFinished").exists():
        yield Finding(
            resource,
            job.get("ttlSecondsAfterFinished").path,
            "it vanishes after its end, and the next update makes and runs it again",
            "a Job that stays until a program no longer declares it",
            "remove ttlSecondsAfterFinished",
        )
    if kind == ("batch", "CronJob"):
        yield from _overlapping(resource)


def _overlapping(resource: Resource) -> Iterator[Finding]:
    policy = resource.body.get("spec", "concurrencyPolicy")
    said = policy.text("Allow")
    if said != "Forbid":
        yield Finding(
            resource, policy.path, f"{said} starts a run beside one that has not ended", "Forbid", "set it to Forbid"
        )


RULE = Rule(
    name="job-hygiene",
    scope="resource",
    kinds=frozenset(_JOBS),
    settings=Settings,
    find=find,
    doc=__doc__,
)
